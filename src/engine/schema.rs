//! Whether an answer has the form that was asked for.
//!
//! Providers promise the form where they can; servers that only know "some JSON" do not, so every answer is looked at.
//! The keywords are those that providers accept in strict schemas; what is not known is not checked.

use serde_json::Value;

/// How deep a value is followed; a schema that refers to itself cannot be written here, so only hostile ones are deeper.
const DEPTH: usize = 64;

/// Whether `value` fits `schema`.
pub fn fits(schema: &Value, value: &Value) -> bool {
    check(schema, value, DEPTH)
}

fn check(schema: &Value, value: &Value, depth: usize) -> bool {
    let Some(depth) = depth.checked_sub(1) else { return false };
    let kind = match schema.get("type") {
        Some(Value::String(kind)) => is(kind, value),
        Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).any(|kind| is(kind, value)),
        _ => true,
    };
    let one_of = |key| schema.get(key).and_then(Value::as_array);
    kind && one_of("enum").is_none_or(|values| values.contains(value))
        && schema.get("const").is_none_or(|constant| constant == value)
        && one_of("anyOf").is_none_or(|schemas| schemas.iter().any(|schema| check(schema, value, depth)))
        && match value {
            Value::Array(items) => {
                schema.get("items").is_none_or(|schema| items.iter().all(|item| check(schema, item, depth)))
            }
            Value::Object(fields) => {
                let properties = schema.get("properties");
                let closed = schema.get("additionalProperties") == Some(&Value::Bool(false));
                let required = one_of("required").into_iter().flatten().filter_map(Value::as_str);
                let known = fields.iter().all(|(name, field)| {
                    match properties.and_then(|properties| properties.get(name)) {
                        Some(schema) => check(schema, field, depth),
                        None => !closed,
                    }
                });
                known && required.into_iter().all(|name| fields.contains_key(name))
            }
            _ => true,
        }
}

fn is(kind: &str, value: &Value) -> bool {
    match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "number" => value.is_number(),
        "integer" => value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|n| n.fract() == 0.0),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_keyword_refuses_what_does_not_fit() {
        let schema = json!({
            "type": "object",
            "additionalProperties": false,
            "required": ["lines", "tone"],
            "properties": {
                "lines": { "type": "array", "items": { "type": "string" } },
                "tone": { "enum": ["WARM", "PLAIN"] },
                "count": { "type": ["integer", "null"] },
                "kind": { "const": "SET" },
                "extra": { "anyOf": [{ "type": "boolean" }, { "type": "number" }] },
            },
        });
        let good = json!({ "lines": ["a"], "tone": "WARM", "count": 2, "kind": "SET", "extra": 1.5 });
        assert!(fits(&schema, &good));
        for (field, wrong) in [
            ("lines", json!("a")),
            ("lines", json!(["a", 1])),
            ("tone", json!("LOUD")),
            ("count", json!(1.5)),
            ("kind", json!("OTHER")),
            ("extra", json!("yes")),
            ("unknown", json!(1)),
        ] {
            let mut bad = good.clone();
            bad[field] = wrong;
            assert!(!fits(&schema, &bad), "{bad}");
        }
        let mut short = good.clone();
        short.as_object_mut().unwrap().remove("tone");
        assert!(!fits(&schema, &short));
        assert!(!fits(&schema, &json!([])));
    }
}
