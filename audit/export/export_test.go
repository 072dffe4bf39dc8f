package export

// PretendAWS has buckets without an endpoint be somewhere else than at AWS.
func (x *Exporter) PretendAWS(endpoint string) { x.aws = endpoint }
