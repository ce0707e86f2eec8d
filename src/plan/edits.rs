//! What leads from one row of things to another, with as few steps as there are. Knows nothing of what the things are.

/// One thing of either row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edit {
    Kept,
    Removed,
    Added,
}

/// Beyond this many things on a side, what is alike is looked for at both ends only.
const COMPARED: usize = 500;

/// Every thing of both rows in order; of what was replaced, the old comes before the new.
pub fn edits<'a, T: PartialEq>(old: &'a [T], new: &'a [T]) -> Vec<(Edit, &'a T)> {
    let head = old.iter().zip(new).take_while(|(a, b)| a == b).count();
    let tail = old[head..].iter().rev().zip(new[head..].iter().rev()).take_while(|(a, b)| a == b).count();
    let (a, b) = (&old[head..old.len() - tail], &new[head..new.len() - tail]);
    let mut all: Vec<(Edit, &T)> = old[..head].iter().map(|thing| (Edit::Kept, thing)).collect();
    if a.len() > COMPARED || b.len() > COMPARED {
        all.extend(a.iter().map(|thing| (Edit::Removed, thing)));
        all.extend(b.iter().map(|thing| (Edit::Added, thing)));
    } else {
        // The longest common run behind each pair of places.
        let mut common = vec![vec![0_u32; b.len() + 1]; a.len() + 1];
        for i in (0..a.len()).rev() {
            for j in (0..b.len()).rev() {
                common[i][j] =
                    if a[i] == b[j] { common[i + 1][j + 1] + 1 } else { common[i + 1][j].max(common[i][j + 1]) };
            }
        }
        let (mut i, mut j) = (0, 0);
        while i < a.len() || j < b.len() {
            if i < a.len() && j < b.len() && a[i] == b[j] {
                all.push((Edit::Kept, &a[i]));
                (i, j) = (i + 1, j + 1);
            } else if i < a.len() && (j == b.len() || common[i + 1][j] >= common[i][j + 1]) {
                all.push((Edit::Removed, &a[i]));
                i += 1;
            } else {
                all.push((Edit::Added, &b[j]));
                j += 1;
            }
        }
    }
    all.extend(old[old.len() - tail..].iter().map(|thing| (Edit::Kept, thing)));
    all
}
