//! Filters find what the RFC says, whichever way the store is asked (RFC 7644 section 3.4.2.2): a plain reference
//! decides, on random users as the API returns them.

use std::collections::BTreeSet;

use rollcall::limits::MAX_PAGE;
use rollcall::scim::filter::plan::{IndexPlan, plan};
use rollcall::scim::user::INDEXED;
use serde_json::{Value, json};

use crate::support::{ScimResponse, encode};

pub mod population;
mod reference;

use population::{ATTRIBUTES, LISTS, Population, Random};
use reference::{Attribute, Filter, Kind, OPERATORS};

/// How many users there are: `ROLLCALL_SCALE=5000` asks for more than CI does.
fn scale() -> usize {
    std::env::var("ROLLCALL_SCALE").map_or(25, |count| count.parse().unwrap())
}

/// What was asked so far.
#[derive(Default)]
struct Tally {
    filters: usize,
    found: usize,
    /// Of how many filters some users were found, and some not.
    telling: usize,
    /// How many an index answered.
    by_index: usize,
}

impl Tally {
    /// A test of filters that find nobody, or everybody, would prove nothing.
    fn report(&self, population: &Population) {
        let Self { filters, telling, by_index, found } = self;
        println!("{filters} filters on {} users: {by_index} by an index, {found} users found", population.users.len());
        assert!(telling * 3 > *filters, "{telling} of {filters}");
        assert!((filters / 5..filters / 5 * 4).contains(by_index), "{by_index} of {filters}");
    }
}

impl Population {
    /// Asks for a filter; what it finds is what the reference says, in the order of the ids.
    async fn agrees_on(&self, filter: &Filter, tally: &mut Tally) {
        let id = |user: &Value| user["id"].as_str().unwrap().to_owned();
        let expected: BTreeSet<String> = self.users.iter().filter(|user| filter.holds(user)).map(id).collect();
        let expected: Vec<String> = expected.into_iter().collect();
        tally.filters += 1;
        tally.found += expected.len();
        tally.telling += usize::from(!expected.is_empty() && expected.len() < self.users.len());
        tally.by_index += usize::from(self.is_by_index(filter));
        let text = if tally.filters.is_multiple_of(3) { format!("{filter:#}") } else { filter.to_string() };
        let count = if tally.filters.is_multiple_of(8) { 10 } else { MAX_PAGE };
        let pages = expected.len().div_ceil(count).max(1);
        // Each page is a scan of its own: of many, the first, the last and one between are asked for.
        for page in BTreeSet::from([0, tally.filters % pages, pages - 1]) {
            let expected = &expected[page * count..];
            let found = self.found(&text, page * count + 1, count, page * count + expected.len()).await;
            let expected: Vec<_> = expected.iter().take(count).cloned().collect();
            let differs = |user: &&Value| expected.contains(&id(user)) != found.contains(&id(user));
            let example = || self.users.iter().find(differs).map(Value::to_string);
            assert!(found == expected, "{text}: {} instead of {}: {:?}", found.len(), expected.len(), example());
        }
    }

    async fn found(&self, filter: &str, start: usize, count: usize, total: usize) -> Vec<String> {
        let query = format!("/Users?filter={}&attributes=id&count={count}&startIndex={start}", encode(filter));
        let ScimResponse { status, body, .. } = self.harness.send("GET", &query, None).await;
        assert_eq!((status, &body["totalResults"]), (200, &json!(total)), "{filter}: {body}");
        let ids = body["Resources"].as_array().unwrap().iter().map(|user| user["id"].as_str().unwrap().to_owned());
        ids.collect()
    }

    fn is_by_index(&self, filter: &Filter) -> bool {
        let parsed = rollcall::scim::filter::Filter::parse(&filter.to_string()).unwrap();
        plan(&parsed, &self.harness.app.schemas.user, INDEXED) != IndexPlan::Scan
    }

    async fn is_refused(&self, filter: &Filter) {
        let reply = self.harness.send("GET", &format!("/Users?filter={}", encode(&filter.to_string())), None).await;
        reply.assert_error(400, "invalidFilter");
    }

    /// The same filter alone, and where an index finds what it is asked of, and where that index is hidden.
    async fn agrees_on_every_access_path(&self, filter: Filter, random: &mut Random, tally: &mut Tally) {
        let hidden = |filter: Filter| Filter::not(Filter::not(filter));
        let indexed = self.indexed(random);
        self.agrees_on(&filter, tally).await;
        let another = match random.below(8) {
            0 => hidden(filter),
            1 => Filter::And(vec![hidden(indexed), filter]),
            2 => Filter::Or(vec![indexed, filter]),
            _ => Filter::And(vec![filter, indexed]),
        };
        self.agrees_on(&another, tally).await;
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
    for _ in 0..80 {
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
