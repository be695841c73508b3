// One binary for a whole single-node Kubernetes: kube COMPONENT [flags].
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/coremain"
	_ "github.com/coredns/coredns/plugin/bind"
	_ "github.com/coredns/coredns/plugin/cache"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/ready"
	_ "github.com/coredns/coredns/plugin/template"
	"github.com/spf13/cobra"
	etcd "go.etcd.io/etcd/server/v3/etcdmain"
	"golang.org/x/sync/errgroup"
	"k8s.io/component-base/cli"
	cri "k8s.io/cri-client/pkg"
	kubectl "k8s.io/kubectl/pkg/cmd"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	manager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

// stopPods removes every pod of the container runtime, its network included, eight at a time.
func stopPods(endpoint string) error {
	ctx := context.Background()
	runtime, err := cri.NewRemoteRuntimeService(endpoint, time.Minute, nil, nil)
	if err != nil {
		return err
	}
	pods, err := runtime.ListPodSandbox(ctx, nil)
	if err != nil {
		return err
	}
	results := make([]error, len(pods))
	var group errgroup.Group
	group.SetLimit(8)
	for i, pod := range pods {
		group.Go(func() error {
			results[i] = errors.Join(runtime.StopPodSandbox(ctx, pod.Id), runtime.RemovePodSandbox(ctx, pod.Id))
			return nil
		})
	}
	_ = group.Wait()
	return errors.Join(results...)
}

func main() {
	commands := map[string]func() *cobra.Command{
		"apiserver":          apiserver.NewAPIServerCommand,
		"controller-manager": manager.NewControllerManagerCommand,
		"scheduler":          func() *cobra.Command { return scheduler.NewSchedulerCommand() },
		"kubelet":            func() *cobra.Command { return kubelet.NewKubeletCommand(context.Background()) },
		"proxy":              proxy.NewProxyCommand,
		"kubectl":            kubectl.NewDefaultKubectlCommand,
		"stop-pods": func() *cobra.Command {
			return &cobra.Command{Use: "stop-pods CRI-ENDPOINT", Args: cobra.ExactArgs(1),
				RunE: func(_ *cobra.Command, args []string) error { return stopPods(args[0]) }}
		},
	}
	if len(os.Args) < 2 {
		os.Args = append(os.Args, "")
	}
	name := os.Args[1]
	os.Args = append([]string{name}, os.Args[2:]...)
	switch command, ok := commands[name]; {
	case ok:
		os.Exit(cli.Run(command()))
	case name == "etcd":
		etcd.Main(os.Args)
	case name == "dns":
		dnsserver.Directives = []string{"bind", "ready", "errors", "cache", "kubernetes", "template"}
		coremain.Run()
	default:
		fmt.Fprintln(os.Stderr, "usage: kube etcd|dns|stop-pods|apiserver|controller-manager|scheduler|kubelet|proxy|kubectl ...")
		os.Exit(2)
	}
}
