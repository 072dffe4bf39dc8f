//go:build !race

package audit_test

const fewer = 1
