//! Filters find what the RFC says, whichever way the store is asked (RFC 7644 section 3.4.2.2): a plain reference
//! decides, on random users as the API returns them.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::encode;

mod population;
mod reference;

use population::{ATTRIBUTES, LISTS, Population, Random};
use reference::{Attribute, Filter, Kind, OPERATORS};

/// How many users there are: `ROLLCALL_SCALE=5000` asks for more than CI does, of everything.
fn scale() -> usize {
    std::env::var("ROLLCALL_SCALE").map_or(100, |count| count.parse().unwrap())
}

fn is_thorough() -> bool {
    std::env::var("ROLLCALL_SCALE").is_ok()
}

/// What was asked so far.
#[derive(Default)]
struct Tally {
    filters: usize,
    found: usize,
    /// Of how many filters some users were found, and some not.
    telling: usize,
}

impl Tally {
    /// A test of filters that find nobody, or everybody, would tell nothing.
    fn report(&self, population: &Population) {
        let Self { filters, telling, found } = self;
        println!("{filters} filters on {} users, {telling} telling, {found} found", population.users.len());
        assert!(telling * 3 > *filters, "{telling} of {filters}");
    }
}

impl Population {
    /// Asks for a filter, page by page; what it finds is what the reference says.
    async fn agrees_on(&self, filter: &Filter, tally: &mut Tally) {
        let id = |user: &Value| user["id"].as_str().unwrap().to_owned();
        let expected: BTreeSet<String> = self.users.iter().filter(|user| filter.holds(user)).map(id).collect();
        tally.filters += 1;
        let text = if tally.filters % 3 == 0 { format!("{filter:#}") } else { filter.to_string() };
        let found = self.found(&text).await;
        let missing: Vec<_> = expected.difference(&found).collect();
        let excess: Vec<_> = found.difference(&expected).collect();
        let differs = missing.first().or(excess.first()).map(|id| self.users.iter().find(|user| user["id"] == **id));
        assert!(
            differs.is_none(),
            "{text}: {} missing, {} in excess, such as {differs:?}",
            missing.len(),
            excess.len()
        );
        tally.found += found.len();
        tally.telling += usize::from(!found.is_empty() && found.len() < self.users.len());
    }

    async fn found(&self, filter: &str) -> BTreeSet<String> {
        let count = if self.users.len() < 200 { 50 } else { 200 };
        let mut found = BTreeSet::new();
        loop {
            let start = found.len() + 1;
            let query = format!("/Users?filter={}&attributes=id&count={count}&startIndex={start}", encode(filter));
            let reply = self.harness.send("GET", &query, None).await;
            assert_eq!(reply.status, 200, "{filter}: {reply:?}");
            for user in reply.body["Resources"].as_array().unwrap() {
                assert!(found.insert(user["id"].as_str().unwrap().to_owned()), "{filter}: twice");
            }
            if found.len() as u64 >= reply.body["totalResults"].as_u64().unwrap() {
                return found;
            }
            assert!(found.len() >= start, "{filter}: an empty page at {start}");
        }
    }

    async fn is_refused(&self, filter: &Filter) {
        let reply = self.harness.send("GET", &format!("/Users?filter={}", encode(&filter.to_string())), None).await;
        assert_eq!((reply.status, &reply.body["scimType"]), (400, &json!("invalidFilter")), "{filter}: {reply:?}");
    }

    /// The same filter alone, and where an index finds what it is asked of, and where that index is hidden.
    async fn agrees_on_every_access_path(&self, filter: Filter, random: &mut Random, tally: &mut Tally) {
        let hidden = |filter: Filter| Filter::not(Filter::not(filter));
        let indexed = self.indexed(random);
        self.agrees_on(&filter, tally).await;
        let ways = [
            Filter::And(vec![filter.clone(), indexed.clone()]),
            Filter::And(vec![hidden(indexed.clone()), filter.clone()]),
            Filter::Or(vec![indexed, filter.clone()]),
            hidden(filter),
        ];
        let only = random.below(ways.len());
        for (_, way) in ways.iter().enumerate().filter(|(i, _)| is_thorough() || *i == only) {
            self.agrees_on(way, tally).await;
        }
    }
}

/// What is compared with an attribute by each operator.
fn comparisons(attribute: &'static Attribute, operand: impl FnMut(&'static str) -> Value) -> Vec<Filter> {
    let operands = OPERATORS.into_iter().zip(OPERATORS.map(operand));
    let with_null = [("eq", Value::Null), ("ne", Value::Null)];
    let accepted = operands.chain(with_null).filter(|(operator, operand)| !attribute.refuses(operator, operand));
    accepted.map(|(operator, operand)| Filter::Compare(attribute, operator, operand)).collect()
}

#[tokio::test(start_paused = true)]
async fn every_operator_finds_on_every_attribute_what_the_reference_says() {
    let (mut random, mut tally) = (Random::seeded(7643), Tally::default());
    let population = Population::of(scale(), &mut random).await;
    for attribute in ATTRIBUTES {
        population.agrees_on_every_access_path(Filter::Present(attribute), &mut random, &mut tally).await;
        for comparison in comparisons(attribute, |operator| population.operand(attribute, operator, &mut random)) {
            if is_below_a_list(attribute) {
                let value_path = Filter::ValuePath(attribute.path[0], Box::new(comparison.clone()));
                population.agrees_on(&value_path, &mut tally).await;
            }
            population.agrees_on_every_access_path(comparison, &mut random, &mut tally).await;
        }
    }
    tally.report(&population);
}

#[tokio::test(start_paused = true)]
async fn any_filter_finds_what_the_reference_says() {
    let (mut random, mut tally) = (Random::seeded(7644), Tally::default());
    let population = Population::of(scale(), &mut random).await;
    for _ in 0..if is_thorough() { 200 } else { 100 } {
        let filter = population.filter(3, &mut random);
        population.agrees_on_every_access_path(filter, &mut random, &mut tally).await;
    }
    tally.report(&population);
}

#[tokio::test(start_paused = true)]
async fn what_makes_no_sense_of_a_type_is_refused_wherever_it_stands() {
    let mut random = Random::seeded(7643);
    let population = Population::of(3, &mut random).await;
    for attribute in ATTRIBUTES {
        for operator in OPERATORS {
            for operand in [population.operand(attribute, operator, &mut random), Value::Null] {
                if !attribute.refuses(operator, &operand) || attribute.kind == Kind::Extension {
                    continue;
                }
                let comparison = Filter::Compare(attribute, operator, operand);
                population.is_refused(&comparison).await;
                // Whether an index would answer the rest, or nothing could satisfy it, makes no difference.
                let indexed = population.indexed(&mut random);
                population.is_refused(&Filter::And(vec![indexed, comparison.clone()])).await;
                population
                    .is_refused(&Filter::Or(vec![Filter::Present(attribute), Filter::not(comparison.clone())]))
                    .await;
                if is_below_a_list(attribute) {
                    population.is_refused(&Filter::ValuePath(attribute.path[0], Box::new(comparison))).await;
                }
            }
        }
    }
}

fn is_below_a_list(attribute: &Attribute) -> bool {
    LISTS.contains(&attribute.path[0]) && attribute.path.len() == 2
}
