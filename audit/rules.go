package audit

import (
	"errors"
	"maps"
	"slices"
	"strings"
)

// Rules are what a host says about configurations. Nil, and what is not set, have defaults.
type Rules struct {
	// Regions are the codes that data_residency may have; nil is US, EU, UK, CA, AU, JP and IN.
	Regions []string
	// Floors are the standards that may be named, with the days for which each wants events to be kept. Fewer are
	// a warning. Nil is SOC2 and ISO27001 with 365 and HIPAA with 2190; that is no legal advice.
	Floors map[string]int
	// Places are the regions of object stores with the code of where they lie; nil is those of AWS.
	Places map[string]string
	// CheckURL refuses what must not be called. It repeats nothing of the URL. Nil: no URL is taken, since none
	// could be called safely.
	CheckURL func(rawURL string) error
}

func (r *Rules) orDefaults() *Rules {
	out := Rules{}
	if r != nil {
		out = *r
	}
	if out.Regions == nil {
		out.Regions = []string{"US", "EU", "UK", "CA", "AU", "JP", "IN"}
	}
	if out.Floors == nil {
		out.Floors = map[string]int{"SOC2": 365, "ISO27001": 365, "HIPAA": 2190}
	}
	if out.Places == nil {
		out.Places = awsRegions
	}
	if out.CheckURL == nil {
		out.CheckURL = func(string) error { return errors.New("the host has set up nothing that may call URLs") }
	}
	return &out
}

func (r *Rules) standards() []string { return slices.Sorted(maps.Keys(r.Floors)) }

// Place is the code of where a region lies, "" where that is not known.
func (r *Rules) Place(region string) string { return r.orDefaults().place(region) }

// IsCode says whether a region is a code of where something lies, and so no region of an object store.
func (r *Rules) IsCode(region string) bool {
	return slices.Contains(r.orDefaults().Regions, strings.ToUpper(region))
}

// place is the code of where a region lies, "" where that is not known.
func (r *Rules) place(region string) string {
	if slices.Contains(r.Regions, strings.ToUpper(region)) {
		return strings.ToUpper(region)
	}
	return r.Places[region]
}

// awsRegions are where the regions of AWS lie. Zurich is not in the EU.
var awsRegions = map[string]string{
	"us-east-1": "US", "us-east-2": "US", "us-west-1": "US", "us-west-2": "US", "us-gov-east-1": "US", "us-gov-west-1": "US",
	"eu-central-1": "EU", "eu-west-1": "EU", "eu-west-3": "EU", "eu-north-1": "EU", "eu-south-1": "EU", "eu-south-2": "EU",
	"eu-west-2": "UK", "eu-central-2": "CH", "ca-central-1": "CA", "ca-west-1": "CA", "mx-central-1": "MX", "sa-east-1": "BR",
	"ap-southeast-2": "AU", "ap-southeast-4": "AU", "ap-northeast-1": "JP", "ap-northeast-3": "JP", "ap-south-1": "IN", "ap-south-2": "IN",
	"ap-northeast-2": "KR", "ap-southeast-1": "SG", "ap-southeast-3": "ID", "ap-southeast-5": "MY", "ap-southeast-7": "TH",
	"ap-east-1": "HK", "ap-east-2": "TW", "af-south-1": "ZA", "il-central-1": "IL", "me-south-1": "BH", "me-central-1": "AE",
	"cn-north-1": "CN", "cn-northwest-1": "CN",
}
