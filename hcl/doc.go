// Package hcl reads recipes: text in HashiCorp's configuration language becomes
// a [pipeline.Recipe]. It is the only package that knows HCL and its values.
//
// [Load] reads and checks; it runs nothing and looks into no store. What a
// stage block's expressions yield is evaluated by the closures that Load leaves
// in each step, with the outputs that exist at that time: an output that does
// not exist yet is an unknown value of the type that the stage's schema says,
// so that a mistake shows before anything runs.
//
// Three kinds of marks travel with values through every expression:
//
//   - where a number came from ([pipeline.Origin]): outputs carry it, and the
//     functions published and measured attach it;
//   - which step an unknown value waits for;
//   - that a value is sensitive.
//
// Mistakes of the recipe's author are [Diagnostics], all of them in one go,
// each with the text at fault and what to write instead.
package hcl
