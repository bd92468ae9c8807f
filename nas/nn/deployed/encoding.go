package deployed

import "eyrie/nas/onnx"

// Encoding is how the 8-bit weights of a network are written down. It decides
// which processors multiply by them correctly: x86 without VNNI multiplies unsigned
// bytes by signed ones and adds the products by pairs in 16 bits (VPMADDUBSW),
// where 255·127 + 255·127 overflows and is cut off.
type Encoding string

const (
	// Unsigned keeps −127 … 127 as bytes with a zero point of 128. Runtimes widen
	// products of unsigned bytes to 32 bits, so that any processor computes them
	// correctly, for about half the speed of signed weights where there is VNNI.
	Unsigned Encoding = "uint8"
	// Signed keeps −127 … 127 as signed bytes, and maps as signed bytes too: what
	// the compilers of NPUs expect. x86 without VNNI computes it wrongly.
	Signed Encoding = "int8"
	// Narrow keeps −64 … 64 as signed bytes: two products add up to at most
	// 255·64·2 = 32,640, which 16 bits hold. Any processor computes it correctly
	// and fast, but the steps of the weights are twice as coarse.
	Narrow Encoding = "int7"
)

// Choices returns the encodings.
func (Encoding) Choices() []string { return []string{string(Unsigned), string(Signed), string(Narrow)} }

// HoldsOn names the processors on which onnxruntime, by its defaults, computes what
// [Int8] does, so that the accuracy measured here holds: to the image, or, where
// onnxruntime rewrites signed maps for x86, to a rounding in one image of thousands.
func (e Encoding) HoldsOn() string {
	if e == Signed {
		return "Arm and x86 with VNNI; on other x86 only with the session option session.x64quantprecision = 1"
	}
	return "any processor"
}

// Largest returns the greatest magnitude of a weight.
func (e Encoding) Largest() float32 {
	if e == Narrow {
		return 64
	}
	return 127
}

// weights returns the type of the bytes of weights, and the zero point that is added to
// the signed value.
func (e Encoding) weights() (onnx.Type, int64) {
	if e == Unsigned {
		return onnx.Uint8, 128
	}
	return onnx.Int8, 0
}

// maps returns the same of the bytes of maps.
func (e Encoding) maps() (onnx.Type, int64) {
	if e == Signed {
		return onnx.Int8, 0
	}
	return onnx.Uint8, 128
}
