// Package hcl reads recipes: text in HashiCorp's configuration language becomes
// a [pipeline.Recipe]. It and the packages below it are the only ones that know HCL
// and its values:
//
//	hcl                   variables, locals, stages, modules, outputs: what a recipe declares, and its expansion into steps
//	  source              the files that are read: the disk, with an editor's buffers over it
//	  diagnostic          mistakes, shown to people and to machines
//	  editor              what an editor asks: symbols, definitions, descriptions, completion
//	  internal/trace      expressions whose values say where they came from
//	  internal/builtin    the functions that expressions call
//	  internal/budget     what evaluating a recipe may take
//	  internal/value      values: their marks, what outputs become, what schemas ask for
//	  internal/syntax     text to trees, and what is written where, in a tree or in text half typed
//	  internal/grammar    the blocks of a recipe, and the attributes that all of a kind have
//	  internal/word       suggestions and lists in messages
//
// A recipe consists of blocks, in one file or in the *.hcl files of a directory:
//
//	variable "NAME" { type, default, description, sensitive, validation { condition, error_message } }
//	locals { NAME = … }
//	stage "TYPE" "NAME" { the stage's attributes; for_each, when, depends_on, retry, timeout, resources }
//	module "NAME" { source, the values of its variables; for_each, when, depends_on }
//	output "NAME" { value, description, sensitive }
//
// Expressions refer to var.NAME, local.NAME, stage.NAME (with for_each: to
// stage.NAME["key"]), module.NAME.OUTPUT, path.recipe, path.file, and in a block with for_each to
// each.key and each.value; they call the functions that [Functions] lists.
//
// [Load] reads and checks; it runs nothing and looks into no store. It reads regular
// files of up to [source.Limit] bytes, from a [source.Files]. What a
// stage block's expressions yield is evaluated by the closures that Load leaves
// in each step, with the outputs that exist at that time: an output that does
// not exist yet is an unknown value of the type that the stage's schema says,
// so that a mistake shows before anything runs. Which steps there are (for_each,
// when) is decided with no output known, and so never depends on a cache.
//
// A module block makes the steps of another recipe part of this one. Each of its instances
// is a module with names of its own; the recipe is one, too.
//
// Evaluation is bounded by counts of steps and parts, see internal/budget: a recipe that asks
// for too much is refused at the expression that does, on every machine. No value is
// unknown once all outputs that its expression refers to are there.
//
// Three kinds of marks travel with values through every expression:
//
//   - where a number came from ([pipeline.Origin]): outputs carry it, and the
//     functions published and measured attach it;
//   - which step an unknown value waits for;
//   - that a value is sensitive.
//
// What merely selects a value (a condition, an index, a key) leaves it its own
// origins and adds none.
//
// [Open] does what Load does, and answers for an editor, whatever mistakes there are.
// Nothing changes the syntax trees, which both read.
//
// Mistakes of the recipe's author are [Diagnostics], all of them in one go,
// each with the text at fault and what to write instead.
package hcl
