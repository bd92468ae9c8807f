// Package value is about the values of expressions: the marks that they carry, how a
// step's output becomes one, and how one becomes what a stage's schema asks for.
//
// Three kinds of marks travel with values: where a number came from, which step an
// unknown value waits for, and that a value is sensitive.
package value
