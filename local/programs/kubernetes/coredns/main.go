// Command coredns is CoreDNS with only the plugins that a cluster's DNS needs. The stock build carries every
// cloud provider's SDK and takes minutes; this one shares the Kubernetes modules that are compiled anyway.
package main

import (
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/coremain"

	_ "github.com/coredns/coredns/plugin/bind"
	_ "github.com/coredns/coredns/plugin/cache"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/ready"
	_ "github.com/coredns/coredns/plugin/template"
)

func main() {
	dnsserver.Directives = []string{"bind", "errors", "ready", "template", "cache", "kubernetes"}
	coremain.Run()
}
