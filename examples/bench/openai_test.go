package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/examples/internal/fakemodel"
)

// TestOpenAIClient uses the gateway with the client of the vendor, of which nothing is changed but its base URL and key.
func TestOpenAIClient(t *testing.T) {
	ctx := t.Context()
	up := httptest.NewServer(fakemodel.New(nil))
	t.Cleanup(up.Close)
	p, err := startGateway(ctx, t.TempDir(), up.URL)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.stop()) })
	client := func(slug, settings string) openai.Client {
		_, secret, err := p.key(ctx, slug, settings)
		require.NoError(t, err)
		return openai.NewClient(option.WithBaseURL(p.url+"/v1"), option.WithAPIKey(secret), option.WithMaxRetries(0))
	}
	c := client("acme", `{"budget": {"monthly_limit": 100, "hard_limit": true}}`)
	ask := openai.ChatCompletionNewParams{Model: "gpt-4o", MaxCompletionTokens: openai.Int(100), Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage("Who are you?")}}
	const says = "This is what a model would say, if there were one behind this gateway."

	whole, err := c.Chat.Completions.New(ctx, ask)
	require.NoError(t, err)
	require.Equal(t, says, whole.Choices[0].Message.Content)
	require.EqualValues(t, 14, whole.Usage.CompletionTokens)

	stream := c.Chat.Completions.NewStreaming(ctx, ask)
	var all openai.ChatCompletionAccumulator
	for stream.Next() {
		require.NotEmpty(t, stream.Current().Choices, "nothing that was not asked for")
		all.AddChunk(stream.Current())
	}
	require.NoError(t, stream.Err())
	require.Equal(t, says, all.Choices[0].Message.Content)
	ask.StreamOptions.IncludeUsage = openai.Bool(true)
	stream = c.Chat.Completions.NewStreaming(ctx, ask)
	all = openai.ChatCompletionAccumulator{}
	for stream.Next() {
		all.AddChunk(stream.Current())
	}
	require.NoError(t, stream.Err())
	require.EqualValues(t, 14, all.Usage.CompletionTokens)
	ask.StreamOptions = openai.ChatCompletionStreamOptionsParam{}

	ask.Tools = []openai.ChatCompletionToolUnionParam{openai.ChatCompletionFunctionTool(openai.FunctionDefinitionParam{Name: "weather"})}
	whole, err = c.Chat.Completions.New(ctx, ask)
	require.NoError(t, err)
	require.Equal(t, "weather", whole.Choices[0].Message.ToolCalls[0].Function.Name)

	vectors, err := c.Embeddings.New(ctx, openai.EmbeddingNewParams{Model: "text-embedding-3-small", Input: openai.EmbeddingNewParamsInputUnion{OfArrayOfStrings: []string{"a", "b"}}})
	require.NoError(t, err)
	require.Len(t, vectors.Data, 2)
	images, err := c.Images.Generate(ctx, openai.ImageGenerateParams{Model: "dall-e-3", Prompt: "a cat", N: openai.Int(2)})
	require.NoError(t, err)
	require.Len(t, images.Data, 2)
	models, err := c.Models.List(ctx)
	require.NoError(t, err)
	require.Len(t, models.Data, 3)
	one, err := c.Models.Get(ctx, "gpt-4o")
	require.NoError(t, err)
	require.Equal(t, "gpt-4o", one.ID)

	refused := func(c openai.Client, ask openai.ChatCompletionNewParams, status int, kind, code string) {
		t.Helper()
		_, err := c.Chat.Completions.New(ctx, ask)
		var e *openai.Error
		require.ErrorAs(t, err, &e)
		require.Equal(t, []any{status, kind, code}, []any{e.StatusCode, e.Type, e.Code})
		require.NotEmpty(t, e.Message)
		stream := c.Chat.Completions.NewStreaming(ctx, ask)
		require.False(t, stream.Next())
		require.ErrorAs(t, stream.Err(), &e)
		require.Equal(t, code, e.Code)
	}
	refused(client("no-tools", `{"features": {"function_calling": false}}`), ask, http.StatusForbidden, "permission_error", "feature_disabled")
	refused(client("poor", `{"budget": {"monthly_limit": 0.0001, "hard_limit": true}}`), ask, http.StatusPaymentRequired, "billing_error", "budget_exceeded")
	refused(client("slow", `{"models": {"rate_limits": {"gpt-*": {"requests_per_day": 0}}}}`), ask, http.StatusTooManyRequests, "rate_limit_error", "rate_limit_exceeded")
	ask.Model = "gpt-6"
	refused(c, ask, http.StatusBadRequest, "invalid_request_error", "unsupported_model")
	refused(openai.NewClient(option.WithBaseURL(p.url+"/v1"), option.WithAPIKey("ok_live_nobody")), ask, http.StatusUnauthorized, "authentication_error", "invalid_api_key")
	require.NotContains(t, strings.ToLower(p.log.String()), "error")
}
