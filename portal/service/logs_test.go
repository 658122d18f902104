package service

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/berth-dev/berth/api/v1alpha1"
)

// kubelets is the little of a tenant's API that logs are read from: processes, and
// the output of each run of their containers.
type kubelets struct {
	t  *testing.T
	mu sync.Mutex
	// changed is closed, and made anew, at every change.
	changed chan struct{}
	version int
	pods    []corev1.Pod
	output  map[string][]string // by container id
	cut     map[string]int      // break the first stream after that many lines
}

func newKubelets(t *testing.T) (*kubelets, *kubernetes.Clientset) {
	t.Helper()
	k := &kubelets{t: t, changed: make(chan struct{}), output: map[string][]string{}, cut: map[string]int{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/v1/namespaces/shop/pods", k.list)
	mux.HandleFunc("GET /api/v1/namespaces/shop/pods/{pod}", k.get)
	mux.HandleFunc("GET /api/v1/namespaces/shop/pods/{pod}/log", k.log)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	clientset, err := kubernetes.NewForConfig(&rest.Config{
		Host: server.URL, QPS: -1, ContentConfig: rest.ContentConfig{ContentType: "application/json", AcceptContentTypes: "application/json"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return k, clientset
}

// change changes the state and wakes whoever watches.
func (k *kubelets) change(how func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	how()
	k.version++
	close(k.changed)
	k.changed = make(chan struct{})
}

func (k *kubelets) run(pod, component, container string, running bool) {
	k.change(func() {
		k.pods = slices.DeleteFunc(k.pods, func(p corev1.Pod) bool { return p.Name == pod })
		state := corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{}}
		if running {
			state = corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}
		}
		k.pods = append(k.pods, corev1.Pod{
			TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
			ObjectMeta: metav1.ObjectMeta{
				Name: pod, Namespace: "shop", Labels: map[string]string{v1alpha1.LabelApp: "shop", v1alpha1.LabelComponent: component},
			},
			Spec:   corev1.PodSpec{Containers: []corev1.Container{{Name: component}}},
			Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{ContainerID: container, State: state}}},
		})
	})
}

// say makes a container write a line, at a second that the line's number tells.
func (k *kubelets) say(container string, second int, text string) {
	k.change(func() {
		stamp := time.Date(2026, 1, 1, 0, 0, second, 5, time.UTC).Format(time.RFC3339Nano)
		k.output[container] = append(k.output[container], stamp+" "+text)
	})
}

func (k *kubelets) list(w http.ResponseWriter, r *http.Request) {
	if r.URL.Query().Get("watch") == "" {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.json(w, corev1.PodList{ListMeta: metav1.ListMeta{ResourceVersion: fmt.Sprint(k.version)}, Items: k.pods})
		return
	}
	w.WriteHeader(http.StatusOK)
	for {
		k.mu.Lock()
		for i := range k.pods {
			raw, _ := json.Marshal(k.pods[i])
			fmt.Fprintf(w, `{"type":"MODIFIED","object":%s}`+"\n", raw)
		}
		next := k.changed
		k.mu.Unlock()
		w.(http.Flusher).Flush()
		select {
		case <-next:
		case <-r.Context().Done():
			return
		}
	}
}

func (k *kubelets) find(name string) *corev1.Pod {
	for i := range k.pods {
		if k.pods[i].Name == name {
			return &k.pods[i]
		}
	}
	return nil
}

func (k *kubelets) get(w http.ResponseWriter, r *http.Request) {
	k.mu.Lock()
	defer k.mu.Unlock()
	pod := k.find(r.PathValue("pod"))
	if pod == nil {
		w.WriteHeader(http.StatusNotFound)
		k.json(w, metav1.Status{Status: "Failure", Reason: metav1.StatusReasonNotFound, Code: http.StatusNotFound})
		return
	}
	k.json(w, pod)
}

func (k *kubelets) log(w http.ResponseWriter, r *http.Request) {
	follow, since := r.URL.Query().Get("follow") == "true", r.URL.Query().Get("sinceTime")
	w.WriteHeader(http.StatusOK)
	container := ""
	for sent := 0; ; {
		k.mu.Lock()
		pod := k.find(r.PathValue("pod"))
		now, running := "", false
		if pod != nil {
			for _, from := range sourcesOf(pod) {
				if from.container == r.URL.Query().Get("container") {
					now, running = from.id, from.running
				}
			}
		}
		if container == "" {
			container = now
		}
		lines, next, cut := k.output[container], k.changed, k.cut[container]
		for ; sent < len(lines); sent++ {
			if cut > 0 && sent == cut {
				delete(k.cut, container)
				k.mu.Unlock()
				panic(http.ErrAbortHandler)
			}
			if stamp, _, _ := strings.Cut(lines[sent], " "); stamp >= since {
				fmt.Fprintln(w, lines[sent])
			}
		}
		k.mu.Unlock()
		w.(http.Flusher).Flush()
		if !follow || !running || now != container {
			return
		}
		select {
		case <-next:
		case <-r.Context().Done():
			return
		}
	}
}

func (k *kubelets) json(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(v); err != nil {
		k.t.Error(err)
	}
}

func TestThePastIsMergedByTimeAndCutToItsTail(t *testing.T) {
	k, clientset := newKubelets(t)
	k.run("web-1-aaaaa", "web", "c1", true)
	k.run("db-1-bbbbb", "db", "c2", true)
	k.say("c1", 1, "one")
	k.say("c2", 2, "two")
	k.say("c1", 3, "three")
	f := newFollower(clientset.CoreV1().Pods("shop"), logSelector("shop", ""))
	lines, err := f.past(t.Context(), 2)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, line := range lines {
		got = append(got, line.Process+" "+line.Text)
	}
	if diff := cmp.Diff([]string{"db.bbbbb two", "web.aaaaa three"}, got); diff != "" {
		t.Error(diff)
	}
}

// beside puts a sidecar that runs, and what vCluster does before it, into the newest process.
func (k *kubelets) beside(name, container string) {
	k.change(func() {
		pod := &k.pods[len(k.pods)-1]
		pod.Spec.InitContainers = []corev1.Container{{Name: "rewrite-hosts"}, {Name: name, RestartPolicy: new(corev1.ContainerRestartPolicyAlways)}}
		ended := corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{}}
		running := corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}
		pod.Status.InitContainerStatuses = []corev1.ContainerStatus{
			{Name: "rewrite-hosts", ContainerID: "hosts", State: ended}, {Name: name, ContainerID: container, State: running},
		}
	})
}

func TestSidecarsAreHeardUnderTheirOwnNames(t *testing.T) {
	k, clientset := newKubelets(t)
	k.run("web-1-aaaaa", "web", "c1", true)
	k.beside("proxy", "c2")
	k.say("hosts", 0, "nobody asked for this")
	k.say("c2", 1, "ready")
	k.say("c1", 2, "hello")
	f := newFollower(clientset.CoreV1().Pods("shop"), logSelector("shop", "web"))
	lines, err := f.past(t.Context(), 10)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	k.say("c2", 3, "stopping")
	_ = f.follow(ctx, func(line LogLine) error {
		lines = append(lines, line)
		cancel()
		return nil
	})
	var got []string
	for _, line := range lines {
		got = append(got, line.Component+" "+line.Process+" "+line.Text)
	}
	want := []string{"web web.aaaaa/proxy ready", "web web.aaaaa hello", "web web.aaaaa/proxy stopping"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// However much processes wrote, what is held and told is bounded, and it is the newest.
func TestThePastIsBoundedInBytes(t *testing.T) {
	k, clientset := newKubelets(t)
	long := strings.Repeat("x", 100<<10)
	for i, pod := range []string{"web-1-aaaaa", "web-1-bbbbb"} {
		container := fmt.Sprint("c", i)
		k.run(pod, "web", container, true)
		for second := range 59 {
			k.say(container, second, long)
		}
		k.say(container, 59, "end of "+container)
	}
	f := newFollower(clientset.CoreV1().Pods("shop"), logSelector("shop", ""))
	lines, err := f.past(t.Context(), maxTail)
	if err != nil {
		t.Fatal(err)
	}
	if size := bytesOf(lines); size > maxPastBytes || size < maxPastBytes/2 {
		t.Errorf("got %d bytes, want nearly %d", size, maxPastBytes)
	}
	if n := len(lines); n < 2 || lines[n-2].Text != "end of c0" || lines[n-1].Text != "end of c1" {
		t.Errorf("the newest lines are missing among %d", n)
	}
}

// Following goes on over broken connections, restarts and new processes, and tells
// every line once.
func TestFollowingTellsEveryLineOnce(t *testing.T) {
	k, clientset := newKubelets(t)
	k.run("web-1-aaaaa", "web", "c1", true)
	k.say("c1", 1, "past")
	k.cut["c1"] = 2
	f := newFollower(clientset.CoreV1().Pods("shop"), logSelector("shop", ""))
	if _, err := f.past(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	// Each line that arrives brings the next thing that happens.
	next := map[string]func(){
		"before the break": func() { k.say("c1", 3, "after the break") },
		"after the break": func() {
			k.run("web-1-aaaaa", "web", "c1", false)
			k.say("c2", 4, "restarted")
			k.run("web-1-aaaaa", "web", "c2", true)
		},
		"restarted": func() {
			k.say("c3", 5, "a new process")
			k.run("web-2-ccccc", "web", "c3", true)
		},
		"a new process": func() { k.say("c2", 6, "end") },
		"end":           cancel,
	}
	k.say("c1", 2, "before the break")
	var got []string
	_ = f.follow(ctx, func(line LogLine) error {
		got = append(got, line.Text)
		if then, ok := next[line.Text]; ok {
			then()
		}
		return nil
	})
	want := []string{"before the break", "after the break", "restarted", "a new process", "end"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
