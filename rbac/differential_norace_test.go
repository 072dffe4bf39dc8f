//go:build !race

package rbac_test

const decisions = 1_000_000
