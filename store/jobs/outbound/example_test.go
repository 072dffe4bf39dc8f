package outbound_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/jobs/outbound"
)

func Example() {
	sink := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "120")
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	defer sink.Close()

	// A sink in the host's own network is opened by the host.
	guard, err := outbound.New(&outbound.Options{Allow: []string{"127.0.0.1"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	// When a tenant writes a URL:
	for _, url := range []string{"https://169.254.169.254/latest/meta-data", "http://hooks.example.com/", "https://hooks.example.com/"} {
		if err := guard.Check(url); err != nil {
			fmt.Println(store.Invalid("webhook.url", outbound.Code, "%v", err))
		}
	}
	// When it is called:
	client := guard.Client(&outbound.Limits{Total: 15 * time.Second})
	defer client.CloseIdleConnections()
	res, err := client.Do(must(http.NewRequest(http.MethodPost, sink.URL, strings.NewReader("{}"))))
	if err == nil {
		defer res.Body.Close()
	}
	out := outbound.Judge(res, err, time.Now())
	fmt.Println(out.Verdict == outbound.Retry, out.After, out.Reason)
	// Output:
	// webhook.url: must not lead to an address that is not public
	// webhook.url: must be an https URL
	// true 2m0s status 503
}

func must(req *http.Request, err error) *http.Request {
	if err != nil {
		panic(err)
	}
	return req
}
