//go:build !race

package hcl_test

const slow = false
