//! Which step of the one version is which of the other: by id, else by what it does. Judges no difference.

use std::collections::HashMap;

use super::units::{Tree, Unit};

/// Whether two steps may be one.
type Alike<'a> = dyn Fn(&Unit<'_>, &Unit<'_>) -> bool + 'a;

#[derive(Default)]
pub struct Pairs {
    /// From the old version to the new one, and back.
    pub new_of: HashMap<usize, usize>,
    pub old_of: HashMap<usize, usize>,
    /// Lists that are each other's.
    pub lists: Vec<(usize, usize)>,
}

/// Steps of one kind that share this much of what they say are one step that was changed and renamed.
const ALIKE: f64 = 0.75;

impl Pairs {
    pub fn of(old: &Tree<'_>, new: &Tree<'_>) -> Pairs {
        let mut pairs = Pairs::default();
        for name in ["steps", "finally"] {
            let root = |tree: &Tree<'_>| tree.lists.iter().position(|list| list.within.is_none() && list.name == name);
            if let (Some(a), Some(b)) = (root(old), root(new)) {
                pairs.pair_lists(old, new, a, b);
            }
        }
        // What is left may stand in another list now.
        let same: [&Alike<'_>; 3] = [
            &|a, b| a.step.id.value == b.step.id.value && a.step.body.kind == b.step.body.kind,
            &|a, b| a.print == b.print,
            &|a, b| a.may_be(b) && likeness(a, b) >= ALIKE,
        ];
        for same in same {
            for a in 0..old.units.len() {
                if pairs.new_of.contains_key(&a) {
                    continue;
                }
                let free = |b: &usize| !pairs.old_of.contains_key(b) && same(&old.units[a], &new.units[*b]);
                if let Some(b) = (0..new.units.len()).find(free) {
                    pairs.pair(old, new, a, b);
                }
            }
        }
        pairs
    }

    fn pair(&mut self, old: &Tree<'_>, new: &Tree<'_>, a: usize, b: usize) {
        self.new_of.insert(a, b);
        self.old_of.insert(b, a);
        let (a, b) = (&old.units[a], &new.units[b]);
        if a.step.body.kind != b.step.body.kind {
            return;
        }
        for one in &a.lists {
            let name = &old.lists[*one].name;
            if let Some(other) = b.lists.iter().find(|list| new.lists[**list].name == *name) {
                self.pair_lists(old, new, *one, *other);
            }
        }
    }

    fn pair_lists(&mut self, old: &Tree<'_>, new: &Tree<'_>, one: usize, other: usize) {
        self.lists.push((one, other));
        let (a, b) = (&old.lists[one].members, &new.lists[other].members);
        fn id<'t>(tree: &'t Tree<'_>, unit: usize) -> &'t str {
            &tree.units[unit].step.id.value
        }
        let ids_of_new: HashMap<&str, usize> = b.iter().rev().map(|unit| (id(new, *unit), *unit)).collect();
        let ids_of_old: HashMap<&str, usize> = a.iter().rev().map(|unit| (id(old, *unit), *unit)).collect();
        let in_new = |name: &str| ids_of_new.get(name).copied();
        let in_old = |name: &str| ids_of_old.get(name).copied();
        // An id that is new, or gone, names a step that was there already, if they do the same.
        let mut found = Vec::new();
        let mut taken: Vec<usize> = Vec::new();
        for one in a {
            let same_id = in_new(id(old, *one));
            if same_id.is_some_and(|other| new.units[other].print == old.units[*one].print) {
                continue;
            }
            let renamed = b.iter().copied().find(|other| {
                // Told apart first by what is cheap: of many steps hardly any do the same.
                if new.units[*other].print != old.units[*one].print {
                    return false;
                }
                let own = in_old(id(new, *other));
                let stays = own.is_some_and(|own| old.units[own].print == new.units[*other].print);
                !stays && (same_id.is_none() || own.is_none()) && !taken.contains(other)
            });
            if let Some(other) = renamed {
                taken.push(other);
                found.push((*one, other));
            }
        }
        for one in a.iter().filter(|one| !found.iter().any(|(of, _)| of == *one)).copied().collect::<Vec<_>>() {
            if let Some(other) = in_new(id(old, one)).filter(|other| !taken.contains(other)) {
                taken.push(other);
                found.push((one, other));
            }
        }
        for (one, other) in found {
            self.pair(old, new, one, other);
        }
    }
}

impl Unit<'_> {
    /// Whether both could be one step that was renamed and changed. A question to a person is what it asks, so another
    /// one is another.
    fn may_be(&self, other: &Unit<'_>) -> bool {
        self.step.body.kind == other.step.body.kind && !self.step.body.action.is_asked() && self.lists.is_empty()
    }
}

/// The share of words that two steps have in common.
fn likeness(a: &Unit<'_>, b: &Unit<'_>) -> f64 {
    let words = |unit: &Unit<'_>| {
        let texts = unit.facts.iter().map(|(path, value)| format!("{path} {}", super::facts::shown(value)));
        let mut words: Vec<String> =
            texts.flat_map(|text| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>()).collect();
        words.sort_unstable();
        words
    };
    let (a, mut b) = (words(a), words(b));
    let most = a.len().max(b.len());
    let common = a
        .iter()
        .filter(|word| match b.binary_search(word) {
            Ok(at) => {
                b.remove(at);
                true
            }
            Err(_) => false,
        })
        .count();
    // A word or two alike say nothing.
    #[expect(clippy::cast_precision_loss, reason = "words of one step")]
    if most < 4 { 0.0 } else { common as f64 / most as f64 }
}
