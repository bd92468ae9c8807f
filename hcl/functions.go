package hcl

import "eyrie/hcl/internal/builtin"

// FunctionDoc documents a function that expressions may call.
type FunctionDoc = builtin.Doc

// Functions documents all functions that a recipe may call, by group.
func Functions() []FunctionDoc { return builtin.Docs() }
