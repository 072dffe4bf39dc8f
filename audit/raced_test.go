//go:build race

package audit_test

// fewer is by how much tests of random rounds are cut where the race detector makes them slow.
const fewer = 20
