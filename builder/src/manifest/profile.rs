//! Profiles: named variants of a manifest, one of which can be laid over it.

use super::fields;
use super::keys::{MANIFEST, PROFILE_NAME_LIMIT, PROFILES_LIMIT};
use super::merge::{merge, settle};
use super::yaml::Node;
use crate::diagnostics::{Code, Diagnostic, Diagnostics, Located, Span, nearest};

/// A manifest with one of its profiles applied, and with each of the others.
pub struct Choice {
    /// The chosen profile.
    pub profile: Option<String>,
    /// The manifest with it.
    pub tree: Located<Node>,
    /// The manifest with each profile that was not chosen, so that mistakes are found before it is.
    pub others: Vec<Located<Node>>,
}

/// Applies the profile `wanted`, or else the one that the manifest names as its default, if any. Mistakes go into `found`.
pub fn choose(mut tree: Located<Node>, wanted: Option<&str>, found: &mut Diagnostics) -> Choice {
    let profiles = take(&mut tree, "profiles").map_or_else(Vec::new, |node| read_profiles(node, found));
    let default = take(&mut tree, "profile").and_then(|node| found.take(fields::text("profile", &node)));
    let names: Vec<&str> = profiles.iter().map(|(name, _)| &**name).collect();
    let profile = wanted.map(str::to_owned).or(default.as_ref().map(|default| default.value.clone()));
    if let Some(unknown) = profile.as_deref().filter(|name| !names.contains(name)) {
        let span = default.as_ref().filter(|_| wanted.is_none()).map(|default| default.span);
        found.push(unknown_profile(unknown, span, &names));
    }
    let mut with = |over: Located<Node>| {
        let merged = merge(tree.clone(), over, found);
        // Missing keys are missing from the whole manifest.
        settle(Located::new(merged.value, tree.span), found)
    };
    let mut chosen = None;
    let mut others = Vec::new();
    for (name, over) in profiles {
        if profile.as_ref() == Some(&name) {
            chosen = Some(with(over));
        } else {
            others.push(with(over));
        }
    }
    let tree = match chosen {
        Some(chosen) => chosen,
        None => settle(tree, found),
    };
    Choice { profile, tree, others }
}

fn unknown_profile(name: &str, span: Option<Span>, names: &[&str]) -> Diagnostic {
    let message = format!("the manifest has no profile `{}`", name.escape_debug());
    let mut diagnostic = Diagnostic::new(Code::UnknownProfile, message);
    if let Some(span) = span {
        diagnostic = diagnostic.at(span, "unknown profile");
    }
    diagnostic.help(match nearest(name, names) {
        Some(name) => format!("did you mean `{name}`?"),
        None if names.is_empty() => "it has none at all; add `profiles:`, or name no profile".to_owned(),
        None => format!("the profiles are {}", fields::list(names)),
    })
}

/// Takes the entry `key` out of the outermost mapping. Without a value it is as if it were not there.
pub fn take(tree: &mut Located<Node>, key: &str) -> Option<Located<Node>> {
    let Node::Mapping(entries) = &mut tree.value else { return None };
    let index = entries.iter().position(|(name, _)| name.value == key)?;
    let (_, value) = entries.remove(index);
    Some(value).filter(|value| value.value != Node::Null)
}

/// Each profile's name and mapping, without the keys that it must not have.
fn read_profiles(node: Located<Node>, found: &mut Diagnostics) -> Vec<(String, Located<Node>)> {
    const EXAMPLE: &str = "debug: {cmdline+: debug}";
    if let Err(error) = fields::entries("profiles", &node, &format!("profiles: {{{EXAMPLE}}}")) {
        found.push(error);
    }
    let Node::Mapping(entries) = node.value else { return Vec::new() };
    if entries.len() > PROFILES_LIMIT {
        let message = format!("{} profiles are too many, at most {PROFILES_LIMIT} are allowed", entries.len());
        found.push(Diagnostic::new(Code::OutOfRange, message).at(node.span, ""));
        return Vec::new();
    }
    let keys = MANIFEST.keys_in_profiles();
    let keys: Vec<&str> = keys.iter().map(|key| &**key).collect();
    let mut profiles = Vec::new();
    for (name, mut value) in entries {
        let plain = |character: char| character.is_ascii_alphanumeric() || matches!(character, '-' | '_' | '.');
        if name.value.is_empty() || name.value.len() > PROFILE_NAME_LIMIT || !name.value.chars().all(plain) {
            let message = format!("`{}` can't be the name of a profile", name.value.escape_debug());
            let help = format!("use 1 to {PROFILE_NAME_LIMIT} letters, digits and `-`, `_` or `.`, as in `debug`");
            found.push(Diagnostic::new(Code::BadText, message).at(name.span, "").help(help));
            continue;
        }
        if value.value == Node::Null {
            value.value = Node::Mapping(Vec::new());
        }
        let what = format!("profiles.{}", name.value);
        let Some(entries) = found.take(fields::entries(&what, &value, EXAMPLE)) else { continue };
        fields::refuse_unknown(&what, entries, &keys, found);
        if let Node::Mapping(entries) = &mut value.value {
            entries.retain(|(key, _)| keys.contains(&&*key.value));
        }
        profiles.push((name.value, value));
    }
    profiles
}
