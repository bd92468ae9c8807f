package builtin

import (
	"errors"
	"math"

	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/gocty"

	"eyrie/pipeline/float"
)

var (
	sumFunc    = statistic(sum, 0)
	meanFunc   = statistic(mean, 1)
	stddevFunc = statistic(stddev, 2)
)

// cty's own log and pow round as the machine does, and what a recipe computes
// becomes part of keys.
var (
	logFunc = ofTwo("base", "the numbers must be greater than 0, and the base not 1", func(num, base float64) float64 { return float.Log(num) / float.Log(base) })
	powFunc = ofTwo("power", "the result is no real number, or beyond 1.8e308", float.Pow)
)

// ofTwo returns a function of two numbers, num and the one named, and what to say where it
// has no value.
func ofTwo(second, undefined string, of func(a, b float64) float64) function.Function {
	return function.New(&function.Spec{
		Params:       []function.Parameter{{Name: "num", Type: cty.Number}, {Name: second, Type: cty.Number}},
		Type:         function.StaticReturnType(cty.Number),
		RefineResult: func(b *cty.RefinementBuilder) *cty.RefinementBuilder { return b.NotNull() },
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			var x [2]float64
			for i := range x {
				if err := gocty.FromCtyValue(args[i], &x[i]); err != nil {
					return cty.NilVal, function.NewArgError(i, err)
				}
			}
			y := of(x[0], x[1])
			if math.IsNaN(y) || math.IsInf(y, 0) {
				return cty.NilVal, errors.New(undefined)
			}
			return cty.NumberFloatVal(y), nil
		},
	})
}

// statistic returns a function of a list of numbers, of which it needs a least number.
func statistic(of func([]cty.Value) cty.Value, least int) function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{{Name: "numbers", Type: cty.List(cty.Number), AllowMarked: true}},
		Type:   function.StaticReturnType(cty.Number),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			if !args[0].IsWhollyKnown() {
				return cty.UnknownVal(cty.Number), nil
			}
			numbers := args[0].AsValueSlice()
			if len(numbers) < least {
				return cty.NilVal, function.NewArgErrorf(0, "needs %d numbers or more, has %d", least, len(numbers))
			}
			for _, v := range numbers {
				if v.IsNull() {
					return cty.NilVal, function.NewArgErrorf(0, "an element is null")
				}
			}
			return of(numbers), nil
		},
	})
}

func sum(numbers []cty.Value) cty.Value {
	sum := cty.Zero
	for _, v := range numbers {
		sum = sum.Add(v)
	}
	return sum
}

func mean(numbers []cty.Value) cty.Value {
	return sum(numbers).Divide(cty.NumberIntVal(int64(len(numbers))))
}

func stddev(numbers []cty.Value) cty.Value {
	m := mean(numbers)
	squares := make([]cty.Value, len(numbers))
	for i, v := range numbers {
		d := v.Subtract(m)
		squares[i] = d.Multiply(d)
	}
	variance, _ := sum(squares).Divide(cty.NumberIntVal(int64(len(numbers) - 1))).AsBigFloat().Float64()
	return cty.NumberFloatVal(math.Sqrt(variance))
}
