package nn

import (
	"math"

	"eyrie/pipeline/float"
)

// Loss says what a subnet learns from: cross-entropy against the labels, and
// against the predictions of a teacher, each with a weight.
type Loss struct {
	Hard      float64 // weight of the labels
	Soft      float64 // weight of the teacher's predictions
	Smoothing float64 // label smoothing: this much of a label is spread over all classes
}

// softmaxLoss adds up the loss of images and its gradient by the logits.
// Images are independent; sums over them are the caller's.
type softmaxLoss struct {
	Loss
	classes int
	n       int
	logits  []float32 // n × classes
	labels  []int32
	teacher []float32 // n × classes: probabilities; nil without
	probs   []float32 // n × classes: receives the predictions
	grad    []float32 // n × classes: receives the gradient of the mean loss; nil without
	loss    []float64 // n: receives each image's loss
	correct []bool    // n: receives whether the largest logit is the label's
}

// image computes everything for image i.
func (t *softmaxLoss) image(i int) {
	k := t.classes
	z, p := t.logits[i*k:(i+1)*k], t.probs[i*k:(i+1)*k]
	best := 0
	for j, v := range z {
		if v > z[best] || math.IsNaN(float64(v)) {
			best = j
		}
	}
	top := float64(z[best])
	sum := 0.0
	for j, v := range z {
		e := exp(float64(v) - top)
		p[j] = float32(e)
		sum += e
	}
	lse := top + float.Log(sum)
	label := int(t.labels[i])
	t.correct[i] = best == label
	loss := 0.0
	for j := range p {
		prob := float64(p[j]) / sum
		p[j] = float32(prob)
		want := float64(t.Hard * t.Smoothing / float64(k))
		if j == label {
			want += float64(t.Hard * (1 - t.Smoothing))
		}
		if t.teacher != nil {
			want += float64(t.Soft * float64(t.teacher[i*k+j]))
		}
		loss += float64(want * (lse - float64(z[j])))
		if t.grad != nil {
			scale := t.Hard
			if t.teacher != nil {
				scale += t.Soft
			}
			t.grad[i*k+j] = float32((float64(scale*prob) - want) / float64(t.n))
		}
	}
	t.loss[i] = loss
}

// exp returns e^x for x ≤ 0 within 1e-12, from operations that every machine
// rounds in the same way (math.Exp has a version of its own on some).
func exp(x float64) float64 {
	if x < -700 {
		return 0
	}
	if x != x {
		return x
	}
	const ln2 = 0.693147180559945309417232121458
	n := math.Floor(x/ln2 + 0.5)
	r := x - float64(n*ln2) // in ±0.35
	// Horner's rule on the Taylor series to the 13th term.
	y := 1.0
	for i := 13.0; i > 0; i-- {
		y = float64(y*r/i) + 1
	}
	return math.Ldexp(y, int(n))
}
