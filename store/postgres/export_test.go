package postgres

import "testing"

// KeepPrepared has connections keep n statements while a test runs.
func KeepPrepared(t testing.TB, n int) {
	before := maxPrepared
	maxPrepared = n
	t.Cleanup(func() { maxPrepared = before })
}
