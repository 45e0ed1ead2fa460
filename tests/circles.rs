//! No file of a room may import, over however many others, itself.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use syn::visit::{self, Visit};

/// The rooms whose files form no circle. The grammar of `scim` is mutually recursive, as that of RFC 7644 is: filters
/// have paths, and paths have filters.
const ROOMS: [&str; 6] = ["admin", "api", "app", "auth", "store", "worker"];

/// A path of modules and an item, such as `["store", "model", "user", "User"]`.
type Names = Vec<String>;

/// What one file says of others.
#[derive(Default)]
struct Imports {
    /// Its own module.
    module: Names,
    /// Each path that it uses, with the line.
    uses: Vec<(Names, usize)>,
    /// What it hands on under a name: `pub use`.
    exports: BTreeMap<String, Names>,
}

impl Imports {
    fn of(module: Names, text: &str) -> Self {
        let mut imports = Self { module, ..Self::default() };
        imports.visit_file(&syn::parse_file(text).unwrap());
        imports
    }

    /// The path from the crate's root; none for what belongs to another crate, or is no path of modules at all.
    fn absolute(&self, path: &[String]) -> Option<Names> {
        let supers = path.iter().take_while(|part| *part == "super").count();
        let (base, rest) = match path.first()?.as_str() {
            "crate" => (Names::new(), &path[1..]),
            "self" => (self.module.clone(), &path[1..]),
            "super" => (self.module[..self.module.len().checked_sub(supers)?].to_vec(), &path[supers..]),
            _ => (self.module.clone(), path),
        };
        Some(base.into_iter().chain(rest.iter().cloned()).collect())
    }

    fn note(&mut self, path: &[String], line: usize) {
        self.uses.extend(self.absolute(path).map(|path| (path, line)));
    }

    fn note_tree(&mut self, tree: &syn::UseTree, path: &mut Names, is_export: bool, line: usize) {
        let (name, original) = match tree {
            syn::UseTree::Path(inner) => {
                path.push(inner.ident.to_string());
                self.note_tree(&inner.tree, path, is_export, line);
                path.pop();
                return;
            }
            syn::UseTree::Group(group) => {
                group.items.iter().for_each(|tree| self.note_tree(tree, path, is_export, line));
                return;
            }
            syn::UseTree::Glob(_) => return self.note(path, line),
            syn::UseTree::Name(name) => (name.ident.to_string(), name.ident.to_string()),
            syn::UseTree::Rename(rename) => (rename.rename.to_string(), rename.ident.to_string()),
        };
        let length = path.len();
        if original != "self" {
            path.push(original);
        }
        match self.absolute(path) {
            Some(target) if is_export => drop(self.exports.insert(name, target)),
            _ => self.note(path, line),
        }
        path.truncate(length);
    }
}

fn is_test(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.parse_args::<syn::Path>().is_ok_and(|condition| condition.is_ident("test"))
    })
}

impl<'ast> Visit<'ast> for Imports {
    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        if !is_test(&module.attrs) {
            visit::visit_item_mod(self, module);
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        let is_export = !matches!(item.vis, syn::Visibility::Inherited);
        let line = item.use_token.span.start().line;
        self.note_tree(&item.tree, &mut Names::new(), is_export, line);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names: Names = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        if names.len() > 1 {
            self.note(&names, path.segments[0].ident.span().start().line);
        }
        visit::visit_path(self, path);
    }

    /// A macro's tokens are no syntax tree: whatever stands before `::` in them is taken for a module.
    fn visit_macro(&mut self, invocation: &'ast syn::Macro) {
        let tokens: Vec<_> = invocation.tokens.clone().into_iter().collect();
        for (at, token) in tokens.iter().enumerate() {
            let is_path = tokens.get(at + 1).is_some_and(|next| next.to_string() == ":");
            if let (proc_macro2::TokenTree::Ident(name), true) = (token, is_path) {
                self.note(&[name.to_string()], name.span().start().line);
            }
        }
        visit::visit_macro(self, invocation);
    }
}

/// Every file of the rooms, by its module.
fn house() -> BTreeMap<Names, Imports> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files = super::layers::sources(&root).into_iter().map(|file| {
        let name = file.strip_prefix(&root).unwrap().with_extension("");
        let module: Names = name.iter().map(|part| part.to_str().unwrap().to_owned()).collect();
        let imports = Imports::of(module.clone(), &std::fs::read_to_string(&file).unwrap());
        (module, imports)
    });
    files.filter(|(module, _)| ROOMS.contains(&module[0].as_str())).collect()
}

/// The file that a path leads to: that of the longest module in it, followed through what that hands on.
fn file_of<'h>(house: &'h BTreeMap<Names, Imports>, path: &[String], depth: usize) -> Option<&'h Names> {
    let length = (1..=path.len()).rev().find(|length| house.contains_key(&path[..*length]))?;
    let (module, imports) = house.get_key_value(&path[..length])?;
    match path.get(length).and_then(|name| imports.exports.get(name)) {
        Some(target) if depth < 8 && target[..] != *path => {
            let rest = target.iter().chain(&path[length + 1..]).cloned().collect::<Names>();
            file_of(house, &rest, depth + 1)
        }
        _ => Some(module),
    }
}

/// What a file imports of the house, each with a line that does it.
type Edges<'h> = BTreeMap<&'h Names, BTreeMap<&'h Names, usize>>;

fn edges(house: &BTreeMap<Names, Imports>) -> Edges<'_> {
    let of_file = |(module, imports): (&'_ Names, &'_ Imports)| {
        let targets = imports.uses.iter().filter_map(|(path, line)| Some((file_of(house, path, 0)?, *line)));
        let targets = targets.filter(|(target, _)| *target != module);
        (house.get_key_value(module).unwrap().0, targets.collect::<BTreeMap<_, _>>())
    };
    house.iter().map(of_file).collect()
}

/// The files that can be reached from one.
fn reachable<'h>(edges: &Edges<'h>, from: &'h Names) -> BTreeSet<&'h Names> {
    let mut found = BTreeSet::new();
    let mut open = vec![from];
    while let Some(file) = open.pop() {
        open.extend(edges[file].keys().copied().filter(|target| found.insert(*target)));
    }
    found
}

#[test]
fn no_file_imports_itself_over_others() {
    let house = house();
    let edges = edges(&house);
    assert!(edges.values().map(BTreeMap::len).sum::<usize>() > 150, "the imports were not read");
    let reach: BTreeMap<_, _> = edges.keys().map(|file| (*file, reachable(&edges, file))).collect();
    let mut offences = Vec::new();
    for (file, targets) in &edges {
        for (target, line) in targets.iter().filter(|(target, _)| reach[**target].contains(*file)) {
            offences.push(format!("src/{}.rs:{line} imports {}", file.join("/"), target.join("::")));
        }
    }
    assert!(offences.is_empty(), "these imports are part of a circle:\n{}", offences.join("\n"));
}

#[test]
fn a_circle_is_found_through_what_a_parent_hands_on() {
    let file = |module: &[&str], text: &str| {
        let module: Names = module.iter().map(|part| (*part).to_owned()).collect();
        (module.clone(), Imports::of(module, text))
    };
    let house = BTreeMap::from([
        file(&["a"], "pub mod one; pub mod two; pub use two::Two;"),
        file(&["a", "one"], "use super::Two; pub struct One(Two);"),
        file(&["a", "two"], "pub struct Two; fn f() { crate::a::one::g(); }"),
    ]);
    let edges = edges(&house);
    let one: Names = vec!["a".into(), "one".into()];
    assert!(reachable(&edges, house.get_key_value(&one).unwrap().0).contains(&one));
}
