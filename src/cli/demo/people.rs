//! Who is in the directory of a customer: the same people each time.

use std::ops::Range;

const GIVEN: [&str; 25] = [
    "Anna", "Ben", "Carla", "David", "Elif", "Farid", "Grace", "Hiro", "Irma", "Jonas", "Kemi", "Liam", "Mei", "Noah",
    "Olga", "Pablo", "Quinn", "Rosa", "Samir", "Tara", "Uma", "Viktor", "Wanda", "Yusuf", "Zoe",
];

const FAMILY: [&str; 20] = [
    "Ek", "Okafor", "Silva", "Novak", "Tanaka", "Haddad", "Larsen", "Moreau", "Kaya", "Weber", "Rossi", "Singh",
    "Costa", "Nowak", "Jensen", "Dubois", "Khan", "Molina", "Berg", "Adeyemi",
];

const TEAMS: [&str; 10] =
    ["Sales", "Support", "Engineering", "Finance", "Legal", "Marketing", "Design", "Operations", "Research", "People"];

const CITIES: [&str; 3] = ["Berlin", "Lagos", "Osaka"];

/// A person in a directory.
#[derive(Debug, Clone)]
pub(super) struct Person {
    pub(super) given: String,
    pub(super) family: String,
    pub(super) user_name: String,
    pub(super) department: &'static str,
    /// What the directory knows the person by.
    pub(super) external_id: String,
}

/// The people and groups of a customer.
#[derive(Debug)]
pub(super) struct Directory {
    pub(super) people: Vec<Person>,
    pub(super) groups: Vec<Team>,
}

/// A group, with the places of its members among the people.
#[derive(Debug)]
pub(super) struct Team {
    pub(super) name: String,
    pub(super) external_id: String,
    pub(super) members: Vec<usize>,
}

impl Directory {
    /// The people of these numbers, in so many groups. Each person is in one or two.
    pub(super) fn new(domain: &str, numbers: Range<usize>, groups: usize) -> Self {
        let people: Vec<_> = numbers.map(|number| Person::new(domain, number)).collect();
        let team = |number: usize| {
            let is_in = |place: &usize| place % groups == number || place % (groups + 7) == number;
            Team {
                name: team_name(number),
                external_id: format!("00000000-0000-4000-8000-{number:012}"),
                members: (0..people.len()).filter(is_in).collect(),
            }
        };
        Self { groups: (0..groups).map(team).collect(), people }
    }
}

impl Person {
    fn new(domain: &str, number: usize) -> Self {
        let of = |names: &[&str], at: usize| names.get(at % names.len()).copied().unwrap_or_default().to_owned();
        let (given, family) = (of(&GIVEN, number), of(&FAMILY, number / GIVEN.len()));
        // Namesakes have a number.
        let namesake = match number / (GIVEN.len() * FAMILY.len()) {
            0 => String::new(),
            again => again.to_string(),
        };
        Self {
            user_name: format!("{}.{}{namesake}@{domain}", given.to_lowercase(), family.to_lowercase()),
            department: TEAMS.get(number % TEAMS.len()).copied().unwrap_or_default(),
            external_id: format!("00u{number:017}"),
            given,
            family,
        }
    }

    pub(super) fn display_name(&self) -> String {
        format!("{} {}", self.given, self.family)
    }
}

fn team_name(number: usize) -> String {
    let team = TEAMS.get(number % TEAMS.len()).copied().unwrap_or_default();
    let city = CITIES.get(number / TEAMS.len() % CITIES.len()).copied().unwrap_or_default();
    match number / (TEAMS.len() * CITIES.len()) {
        0 => format!("{team} {city}"),
        floor => format!("{team} {city} {floor}"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn everybody_has_a_name_of_their_own_and_a_group() {
        let directory = Directory::new("a.example", 0..1_200, 70);
        let names: BTreeSet<_> = directory.people.iter().map(|person| &person.user_name).collect();
        let groups: BTreeSet<_> = directory.groups.iter().map(|team| &team.name).collect();
        let members: BTreeSet<_> = directory.groups.iter().flat_map(|team| &team.members).collect();
        assert_eq!((names.len(), groups.len(), members.len()), (1_200, 70, 1_200));
    }
}
