-- The texts under a constraint in their own order, for reading them in pages: the JSON that the
-- primary key has sorts otherwise, for its closing quote comes after some characters.
CREATE INDEX unique_value_text ON unique_value (label, property, json_extract(value, '$'))
    WHERE json_type(value) = 'text';
