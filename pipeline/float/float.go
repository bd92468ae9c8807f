// Package float computes the functions of real numbers that results are made
// of, with the same bits on every machine.
//
// Addition, multiplication, division, square root and rounding to a whole
// number are defined by IEEE 754 to the last bit. The functions here are not in
// Go's math package: there Exp is assembly that differs between amd64 and arm64,
// and between amd64 processors with and without fused multiply-add; Log is
// assembly on amd64; and in all others the compiler may fuse x*y + z where the
// processor can (arm64 does, amd64 at GOAMD64=v3). A cached result would then
// belong to the machine that made it, although its key does not say so.
//
// So products here stand in float64(), which the language specification
// forbids to fuse, and where an operation is to be fused, [math.FMA] says so.
// The results are those of Go 1.26's math on an amd64 processor with
// fused multiply-add, which is where results were recorded before this package
// existed: a test compares them.
//
// The functions are written after Go's math package, Copyright The Go
// Authors, under its BSD licence; it took Log, Log1p and Expm1 from FreeBSD's
// msun, Copyright 1993 Sun Microsystems, Inc., who permit to use, copy, modify
// and distribute them freely, Sin and Cos from Cephes, Copyright Stephen L.
// Moshier, and Exp from Naoki Shibata's SLEEF, in the public domain.
package float
