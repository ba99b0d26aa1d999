//! The manifest as editors know it: the JSON Schema that follows from the table of keys.

use serde_json::{Map, Value, json};

use super::description::{Key, Kind, Mapping};
use super::keys::{MANIFEST, PROFILE_NAME_LIMIT, PROFILES_LIMIT};

/// No control or invisible characters ([`stos_image::is_plain`]), as far as editors find them: not the tags from U+E0000 on.
const CLEAN: &str =
    r"^[^\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]*$";

/// The JSON Schema (draft 2020-12) of manifests, as text.
pub fn schema() -> String {
    let mut definitions = Map::new();
    let mut schema = mapping(&MANIFEST, false, &mut definitions);
    let profile = profile(&mut definitions);
    definitions.insert("Profile".to_owned(), profile);
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema".into();
    schema["title"] = "Manifest of stos-pack".into();
    schema["$defs"] = definitions.into();
    // Keys that another manifest or a profile may provide are needed only where there is neither.
    schema["if"] = json!({"not": {"anyOf": [
        {"required": ["extends"], "properties": {"extends": {"type": "string"}}},
        {"required": ["profile"], "properties": {"profile": {"type": "string"}}},
    ]}});
    schema["then"] = complete(&MANIFEST);
    format!("{schema:#}\n")
}

/// A mapping without further keys. As an item of a list, nothing else completes it.
fn mapping(described: &Mapping, is_item: bool, definitions: &mut Map<String, Value>) -> Value {
    let mut properties = Map::new();
    for key in described.keys {
        let value = value(key.kind, definitions);
        if let Some(about) = key.addition {
            properties.insert(format!("{}+", key.name), with_about(or_nothing(value.clone()), about));
        }
        let value = if is_item && key.required { value } else { or_nothing(value) };
        properties.insert(key.name.to_owned(), with_about(value, key.about));
    }
    let mut schema = object(described.about, &properties);
    let required = required(described);
    if is_item && !required.is_empty() {
        schema["required"] = required.into();
    }
    if described.exclusive {
        let only = |one: &Key| {
            let types = described.keys.iter().map(|key| {
                let sort = if key.name == one.name { "string" } else { "null" };
                (key.name.to_owned(), json!({"type": sort}))
            });
            json!({"required": [one.name], "properties": types.collect::<Map<_, _>>()})
        };
        schema["oneOf"] = described.keys.iter().map(only).collect();
    }
    schema
}

/// What a profile may change.
fn profile(definitions: &mut Map<String, Value>) -> Value {
    let mut properties = Map::new();
    for key in MANIFEST.keys {
        let value = or_nothing(value(key.kind, definitions));
        if let Some(about) = key.addition_in_profile {
            properties.insert(format!("{}+", key.name), with_about(value.clone(), about));
        }
        if let Some(about) = key.in_profile {
            properties.insert(key.name.to_owned(), with_about(value, about));
        }
    }
    object("What a profile changes.", &properties)
}

/// That every key is there which must be.
fn complete(described: &Mapping) -> Value {
    let given = described.keys.iter().filter(|key| key.required).map(|key| {
        let mut value = json!({"not": {"type": "null"}});
        if let Kind::Mapping(inner) = key.kind {
            value = complete(inner);
            value["type"] = "object".into();
        }
        (key.name.to_owned(), value)
    });
    json!({"required": required(described), "properties": given.collect::<Map<_, _>>()})
}

fn required(described: &Mapping) -> Vec<&'static str> {
    described.keys.iter().filter(|key| key.required).map(|key| key.name).collect()
}

fn object(about: &str, properties: &Map<String, Value>) -> Value {
    json!({"type": "object", "description": about, "additionalProperties": false, "properties": properties})
}

/// A value of this kind. Its mappings go into `definitions`.
fn value(kind: Kind, definitions: &mut Map<String, Value>) -> Value {
    match kind {
        Kind::Version => json!({"enum": [1, "1"]}),
        Kind::Text { .. } | Kind::Path | Kind::Directory => text(kind),
        Kind::Word(words) => json!({"type": "string", "enum": words()}),
        Kind::Flag => json!({"type": "boolean"}),
        // A pattern can't express the limits of a text with a unit.
        Kind::Number { notation, least, most, step } => json!({"anyOf": [
            {"type": "integer", "minimum": least, "maximum": most, "multipleOf": step},
            {"type": "string", "pattern": notation.pattern()},
        ]}),
        Kind::AddressOrSymbol => json!({"anyOf": [
            {"type": "integer", "minimum": 0, "maximum": u32::MAX},
            text(kind),
        ]}),
        Kind::Mapping(inner) => reference(inner, false, definitions),
        Kind::List { of: Kind::Mapping(inner), most } => {
            json!({"type": "array", "items": reference(inner, true, definitions), "maxItems": most})
        }
        Kind::List { of, most } => json!({"type": "array", "items": value(*of, definitions), "maxItems": most}),
        Kind::Profiles => json!({
            "type": "object",
            "additionalProperties": or_nothing(json!({"$ref": "#/$defs/Profile"})),
            "maxProperties": PROFILES_LIMIT,
            "propertyNames": {"pattern": format!("^[A-Za-z0-9._-]{{1,{PROFILE_NAME_LIMIT}}}$")},
        }),
        Kind::ProfileName => json!({"type": "string"}),
    }
}

fn text(kind: Kind) -> Value {
    let (least, most) = kind.text_limits();
    let mut schema = json!({"type": "string", "maxLength": most, "pattern": CLEAN});
    if least > 0 {
        schema["minLength"] = least.into();
    }
    schema
}

fn reference(described: &Mapping, is_item: bool, definitions: &mut Map<String, Value>) -> Value {
    let definition = mapping(described, is_item, definitions);
    definitions.insert(described.name.to_owned(), definition);
    json!({"$ref": format!("#/$defs/{}", described.name)})
}

/// `schema`, or nothing: a key without a value is as good as none.
fn or_nothing(mut schema: Value) -> Value {
    if let Some(words) = schema.get_mut("enum").and_then(Value::as_array_mut) {
        words.push(Value::Null);
    } else if schema.get("type").is_none() {
        return json!({"anyOf": [schema, {"type": "null"}]});
    }
    if let Some(sort) = schema.get_mut("type") {
        *sort = json!([sort, "null"]);
    }
    schema
}

fn with_about(mut schema: Value, about: &str) -> Value {
    schema["description"] = about.into();
    schema
}
