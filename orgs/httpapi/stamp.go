package httpapi

import "time"

// Stamp writes a time as the native dialect does: UTC, milliseconds.
func Stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// StampOf is Stamp of a time that there may not be.
func StampOf(t *time.Time) *string {
	if t == nil {
		return nil
	}
	s := Stamp(*t)
	return &s
}
