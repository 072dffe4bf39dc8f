package main

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestTheClientIsThatOfTheDescription fails where go generate ./examples/client was forgotten.
func TestTheClientIsThatOfTheDescription(t *testing.T) {
	text, err := os.ReadFile("../../../orgs/httpapi/rest/openapi.json")
	require.NoError(t, err)
	code, err := generate(text)
	require.NoError(t, err)
	is, err := os.ReadFile("../generated.go")
	require.NoError(t, err)
	require.True(t, string(code) == string(is), "go generate ./examples/client")
}

func TestWhatIsNotKnownIsRefused(t *testing.T) {
	answer := `"responses": {"200": {"content": {"application/json": {"schema": {"type": "string"}}}}}`
	for name, doc := range map[string]string{
		"no JSON":           `{`,
		"another type":      `{"components": {"schemas": {"A": {"type": "tuple"}}}}`,
		"another choice":    `{"components": {"schemas": {"A": {"oneOf": [{"type": "boolean"}, {"type": "string"}]}}}}`,
		"a nameless object": `{"components": {"schemas": {"A": {"type": "object", "properties": {"b": {"type": "object", "properties": {"c": {}}}}}}}}`,
		"a cookie":          `{"paths": {"/a": {"get": {"operationId": "a", "parameters": [{"name": "b", "in": "cookie"}], ` + answer + `}}}}`,
		"a header":          `{"paths": {"/a": {"get": {"operationId": "a", "parameters": [{"name": "b", "in": "header"}], ` + answer + `}}}}`,
		"no answer":         `{"paths": {"/a": {"get": {"operationId": "a"}}}}`,
	} {
		_, err := generate([]byte(doc))
		require.Error(t, err, name)
	}
	_, err := generate([]byte(`{"paths": {"/a": {"get": {"operationId": "a", ` + answer + `}}}}`))
	require.NoError(t, err)
}
