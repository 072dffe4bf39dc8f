//go:build race

package rbac_test

const decisions = 50_000
