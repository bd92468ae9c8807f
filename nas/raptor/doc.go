// Package raptor is the cost model of a memory-constrained NPU such as
// TinyRAPTOR: an accelerator with a small local memory beside an MCU that
// moves the data. It answers what a network costs in latency, energy and data
// transfers, and why. Everything in it is a pure function of its arguments.
//
// A [Platform] holds the numbers of a chip. [Platform.Estimate] prices a
// network from scratch; [Table] prices the subnets of an elastic space by
// adding up what was priced once for every block ([Part]); [Platform.Explain]
// says in sentences why a layer costs what it does.
//
// # The model
//
// A layer's cost is a sum of terms, each a quantity of the layer times a value of the
// platform: MACs, results and values for computing (NPU cycles), bytes and tiles for moving
// (SYS cycles); terms.go has the formulas. What a network costs is the sum over its layers.
// The paper's metric is μ = NPU cycles / SYS cycles (equation 1), energy is power times
// latency. Computing and moving take turns, or overlap: between tiles with double buffering,
// or within a layer by Platform.Overlap.
//
// Which bytes a layer moves is the policy's business (Platform.Policy). With [Spill] every map
// travels once, and what has no room beside the rest of its layer costs more: this is what
// TinyRAPTOR's measurements say, and it adds up layer by layer. The others model a compiler
// that keeps maps in the local memory, and count what its tiles move.
//
// A layer that fits in the local memory as a whole, operands, weights and
// result, moves each of them once at most. Else it is cut into tiles of output
// rows × output channels × input channels, and runs in the loop order that
// costs the fewest SYS cycles: rows that two tiles share are read twice (the
// halo), an operand that the inner loop walks over is read again for each turn
// of the outer one, partial sums stay or travel as int32 ([Schedule]).
//
// Channels that share nothing, as those of a depthwise or grouped convolution or of
// work element by element, are cut as whole groups or within each group; in a matrix
// product the second map stands for weights. What a tile reads are the rows that its
// windows touch, whatever their strides, padding and dilation, also of a transposed
// convolution; of a resized map the rows in proportion. Work element by element, such
// as softmax and normalisation, is taken to read each element once.
//
// A view moves nothing where its operands and its result are all stored, or all in the
// local memory: readers take the parts as they are, and what is concatenated was written
// side by side. Else it moves what the result has of each map that is elsewhere.
//
// With double buffering whatever a tile moves has two buffers, or one for all of it,
// where that is less, and the schedule is the fastest one, not that of the fewest SYS
// cycles: a layer that fits may be cut all the same, and into smaller tiles than would
// fit, so that its transfers overlap with computing. Every schedule that fits is taken
// into account. A map that is read from outside and stays is loaded as a whole, without
// overlap.
//
// A map that stays in the local memory between two layers is neither written nor read,
// but takes the room of tiles meanwhile; a residual operand waits there until its add,
// or is stored, or both. Which maps stay is decided for the whole network at once, by
// dynamic programming over the places of the maps that are live after each layer
// (planner). Platform.Policy and Platform.Scope say what the compiler is taken to be
// capable of; blocks and groups, within which a scope may end, are those of the graph
// ([arch.Blocks], [arch.Groups]), whatever layers are called. At the points where one
// map is live, as between blocks, a network falls into parts that couple only through
// that map's place; so tables, graphs and the grid of all width assignments are exact,
// not approximations.
//
// # What holds it
//
// Tests run layers with real numbers from buffers of the schedule's sizes and
// count every byte; compare the chosen schedule's time with that of every tile in every order,
// and the planner with every way to keep maps; hold both against lower bounds
// ([LayerBound], [Fused]); and fuzz what must be true of any network: more
// memory, cheaper transfers or a more capable policy never make it slower.
//
// What the model leaves out: bursts and alignment of transfers, contention, maps that
// cascade through several layers by rows, and compression of weights. How far it agrees
// with measurements is the business of stage "calibrate".
package raptor
