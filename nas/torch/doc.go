// Package torch trains and measures subnets of a supernet with PyTorch.
//
// The work is done by worker.py, a program of which each rank is a process. Rank 0 gets
// orders from here over a connection; each rank gets its images from a feeder, a process
// that runs this package, too. What is random is drawn here, so that other backends
// draw the same.
package torch
