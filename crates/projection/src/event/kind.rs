//! The types of events, their names, and what is done with each.

/// What is done with an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Treatment {
    /// The graph shows it.
    Folds,
    /// The graph does not show it, knowingly: it has its place in the stream, and the mark
    /// passes it.
    NotInTheGraph,
    /// Nobody knows what the graph would have to show: the mark never passes it.
    Refused,
}

macro_rules! kinds {
    ($($kind:ident: $name:literal, $upstream:literal, $treatment:ident;)*) => {
        /// The type of an event.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[expect(missing_docs, reason = "the names say it")]
        pub enum Kind {
            $($kind,)*
        }

        impl Kind {
            /// All types.
            pub const ALL: &'static [Kind] = &[$(Kind::$kind,)*];

            /// Its name.
            pub fn name(self) -> &'static str {
                match self {
                    $(Kind::$kind => $name,)*
                }
            }

            /// The name that the newer producers give it.
            pub fn upstream_name(self) -> &'static str {
                match self {
                    $(Kind::$kind => $upstream,)*
                }
            }

            /// What is done with events of this type.
            pub fn treatment(self) -> Treatment {
                match self {
                    $(Kind::$kind => Treatment::$treatment,)*
                }
            }
        }
    };
}

kinds! {
    ResourceCreated: "resource.created", "yield:created", Folds;
    ResourceCloned: "resource.cloned", "yield:cloned", Folds;
    ResourceUpdated: "resource.updated", "yield:updated", NotInTheGraph;
    ResourceMoved: "resource.moved", "yield:moved", NotInTheGraph;
    RepresentationAdded: "representation.added", "yield:representation-added", NotInTheGraph;
    RepresentationRemoved: "representation.removed", "yield:representation-removed", NotInTheGraph;
    ResourceArchived: "resource.archived", "mark:archived", Folds;
    ResourceUnarchived: "resource.unarchived", "mark:unarchived", Folds;
    AnnotationAdded: "annotation.added", "mark:added", Folds;
    AnnotationRemoved: "annotation.removed", "mark:removed", Folds;
    AnnotationBodyUpdated: "annotation.body.updated", "mark:body-updated", Folds;
    EntityTagAdded: "entitytag.added", "mark:entity-tag-added", Folds;
    EntityTagRemoved: "entitytag.removed", "mark:entity-tag-removed", Folds;
    EntityTypeAdded: "entitytype.added", "frame:entity-type-added", Folds;
    TagSchemaAdded: "tagschema.added", "frame:tag-schema-added", Folds;
    JobStarted: "job.started", "job:started", NotInTheGraph;
    JobProgress: "job.progress", "job:progress", NotInTheGraph;
    JobCompleted: "job.completed", "job:completed", NotInTheGraph;
    JobFailed: "job.failed", "job:failed", NotInTheGraph;
}

impl Kind {
    /// The type of that name, whichever of the two it is.
    pub fn from_name(name: &str) -> Option<Kind> {
        Kind::ALL.iter().copied().find(|kind| kind.name() == name || kind.upstream_name() == name)
    }
}
