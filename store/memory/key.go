package memory

import (
	"encoding/binary"
	"reflect"
	"strings"
	"time"
)

// above stands behind a prefix: greater than all that it begins.
const above = "\xff"

// appendValue appends a value so that bytes compare as [store.Compare] does: a mark of its type, null first, and
// what is as long as it is closed by its end.
func appendValue(b []byte, v any) []byte {
	switch v := v.(type) {
	case nil:
		return append(b, 1)
	case bool:
		if v {
			return append(b, 3)
		}
		return append(b, 2)
	case int64:
		return binary.BigEndian.AppendUint64(append(b, 4), uint64(v)^1<<63)
	case time.Time:
		return appendTime(b, v)
	case string:
		return appendText(b, v)
	}
	panic("memory: a value that no index holds")
}

func appendTime(b []byte, v time.Time) []byte {
	b = binary.BigEndian.AppendUint64(append(b, 5), uint64(v.Unix())^1<<63)
	return binary.BigEndian.AppendUint32(b, uint32(v.Nanosecond()))
}

func appendText(b []byte, v string) []byte {
	b = append(b, 6)
	for {
		i := strings.IndexByte(v, 0)
		if i < 0 {
			return append(append(b, v...), 0, 1)
		}
		b = append(append(b, v[:i]...), 0, 0xff)
		v = v[i+1:]
	}
}

// appendField is appendValue of a column, without boxing it.
func appendField(b []byte, v reflect.Value) (_ []byte, null bool) {
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return append(b, 1), true
		}
		v = v.Elem()
	}
	switch v.Kind() {
	case reflect.String:
		return appendText(b, v.String()), false
	case reflect.Bool:
		return appendValue(b, v.Bool()), false
	case reflect.Struct:
		return appendTime(b, *v.Addr().Interface().(*time.Time)), false
	}
	return binary.BigEndian.AppendUint64(append(b, 4), uint64(v.Int())^1<<63), false
}

func encode(prefix string, values ...any) string {
	b := []byte(prefix)
	for _, v := range values {
		b = appendValue(b, v)
	}
	return string(b)
}
