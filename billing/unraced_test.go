//go:build !race

package billing_test

const fewer = 1
