package pipeline

import (
	"reflect"

	"eyrie/artifacts"
)

// checker is a struct, of a configuration, that says whether whatever reads its files compares
// what it reads with digests that are in the store. Only then are they read where they lie.
type checker interface{ ChecksFiles() bool }

// eachFile calls f for every artifacts.File within v, which must be settable.
// Maps and interfaces, whose elements are not, get changed copies.
func eachFile(v reflect.Value, f func(*artifacts.File) error) error {
	return eachFileOf(v, false, func(file *artifacts.File, _ bool) error { return f(file) })
}

// eachFileOf is eachFile that says of each whether it is in a checker that checks.
func eachFileOf(v reflect.Value, checked bool, f func(file *artifacts.File, checked bool) error) error {
	if v.Type() == fileType {
		return f(v.Addr().Interface().(*artifacts.File), checked)
	}
	if v.Kind() == reflect.Struct && v.CanInterface() {
		if c, ok := v.Interface().(checker); ok {
			checked = c.ChecksFiles()
		}
	}
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			return eachFileOf(v.Elem(), checked, f)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if sf := v.Type().Field(i); sf.IsExported() || sf.Anonymous {
				if err := eachFileOf(v.Field(i), checked, f); err != nil {
					return err
				}
			}
		}
	case reflect.Slice, reflect.Array:
		if scalar(v.Type().Elem()) {
			return nil
		}
		for i := range v.Len() {
			if err := eachFileOf(v.Index(i), checked, f); err != nil {
				return err
			}
		}
	case reflect.Map:
		if scalar(v.Type().Elem()) {
			return nil
		}
		for _, k := range v.MapKeys() {
			e := reflect.New(v.Type().Elem()).Elem()
			e.Set(v.MapIndex(k))
			if err := eachFileOf(e, checked, f); err != nil {
				return err
			}
			v.SetMapIndex(k, e)
		}
	case reflect.Interface:
		if !v.IsNil() {
			e := reflect.New(v.Elem().Type()).Elem()
			e.Set(v.Elem())
			if err := eachFileOf(e, checked, f); err != nil {
				return err
			}
			v.Set(e)
		}
	}
	return nil
}

// scalar reports whether a t cannot contain a File, which spares a look at each number
// of a long list.
func scalar(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Pointer, reflect.Struct, reflect.Slice, reflect.Array, reflect.Map, reflect.Interface:
		return false
	}
	return true
}

// settable returns an addressable copy of the struct in v, and the pointer to it.
func settable(v any) reflect.Value {
	p := reflect.New(reflect.TypeOf(v))
	p.Elem().Set(reflect.ValueOf(v))
	return p.Elem()
}
