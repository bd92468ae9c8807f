// Package train trains supernets, whatever computes: the phases, what each step draws, the
// rate, the curve, checkpoints and what happens when a training is stopped are here, once.
// A [Backend] does the steps. Since all that is random comes from the seed and the step's
// number, backends draw the same subnets and see the same batches.
package train
