//! How every error of the HTTP API reads; see [`web::problem`].

use crate::lanes::Rejection;
use crate::service::AskError;
use crate::view::ReadError;

web::problem_types! {
    /// What went wrong, in the form in which a program can tell.
    pub enum ProblemType {
        /// The request is not what the API expects.
        MalformedRequest = ("malformed-request", BAD_REQUEST, "The request is malformed"),
        /// The body is too large.
        TooLarge = ("too-large", PAYLOAD_TOO_LARGE, "The request is too large"),
        /// The body did not arrive in time.
        BodyTimeout = ("body-timeout", REQUEST_TIMEOUT, "The request did not arrive in time"),
        /// The body is not JSON by its media type.
        UnsupportedMediaType = ("unsupported-media-type", UNSUPPORTED_MEDIA_TYPE, "The request is not JSON"),
        /// The server answers only those who know its token.
        Unauthorized = ("unauthorized", UNAUTHORIZED, "The server does not know who asks"),
        /// The path leads nowhere.
        NoSuchRoute = ("no-such-route", NOT_FOUND, "There is nothing at this path"),
        /// The path knows other methods.
        MethodNotAllowed = ("method-not-allowed", METHOD_NOT_ALLOWED, "The path does not know this method"),
        /// The graph has nothing of the resource, and for a rebuild neither has the log.
        NoSuchResource = ("no-such-resource", NOT_FOUND, "There is no such resource"),
        /// Another rebuild or reconciliation of all is under way: nothing was done.
        Busy = ("busy", SERVICE_UNAVAILABLE, "Another rebuild or reconciliation is under way"),
        /// The graph has what the projection would not write: a reconciliation repairs that.
        Damaged = ("damaged", INTERNAL_SERVER_ERROR, "The graph was changed by somebody else"),
        /// The log or the graph cannot be read at the moment, or the process is ending: nothing was done.
        Unavailable = ("unavailable", SERVICE_UNAVAILABLE, "The projector cannot do this at the moment"),
        /// Too many requests are open: nothing was done.
        Overloaded = ("overloaded", SERVICE_UNAVAILABLE, "Too many requests are open"),
    }
}

/// A problem document.
pub type Problem = web::problem::Problem<ProblemType>;

impl From<AskError> for Box<Problem> {
    fn from(error: AskError) -> Box<Problem> {
        let kind = match &error {
            AskError::Rejected(Rejection::Busy) => ProblemType::Busy,
            AskError::Rejected(Rejection::Halted) | AskError::Log(_) | AskError::Graph(ReadError::Graph(_)) => {
                ProblemType::Unavailable
            }
            AskError::Graph(ReadError::Damaged(_) | ReadError::Projection(_)) => ProblemType::Damaged,
            AskError::Overloaded => ProblemType::Overloaded,
            AskError::NoSuchResource(_) => ProblemType::NoSuchResource,
        };
        Box::new(Problem::new(kind, error.to_string()))
    }
}
