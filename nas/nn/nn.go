// Package nn trains and runs supernets on the CPU: elastic MobileNetV2s whose
// subnets share one set of weights, as in Once-for-All (Cai et al., ICLR 2020).
//
// A [Supernet] holds the weights of all subnets of an arch.Space. A [Trainer]
// runs a subnet forward and backward on a batch and updates the weights; an
// [Evaluator] measures the accuracy of subnets. Each has a workspace of its own, so
// that Evaluators run side by side on one set of weights. [Supernet.Save] and [Load] keep the
// weights as safetensors; see safetensors.go for the names.
//
// A subnet runs by slicing: the first channels, the first blocks of a group
// and the centre of a kernel are parts of the shared tensors with a leading
// dimension, so that a smaller subnet costs less.
//
// Activations are float32, batch × rows × columns × channels. The innermost
// loops come in sets (see kernels): in Go, and in assembly for the
// processors that have it. For one set of kernels, results are equal to the
// bit whatever the number of threads; those of the set in Go are equal on every
// machine. For that, products are converted (float64(a*b) + c) before they are
// added to, here and outside of the loops: it forbids the compiler to fuse
// the two, as it would on some processors.
//
// Misuse, such as a subnet that is not of the space, panics; what comes from
// files is checked and gives an error.
package nn
