package mortal

import (
	"context"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
)

// Client gives a client whose calls are this process's.
func (l *Life) Client(inner client.WithWatch) client.WithWatch {
	return interceptor.NewClient(inner, interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, into client.Object, options ...client.GetOption) error {
			return l.Read(func() error { return c.Get(ctx, key, into, options...) })
		},
		List: func(ctx context.Context, c client.WithWatch, into client.ObjectList, options ...client.ListOption) error {
			return l.Read(func() error { return c.List(ctx, into, options...) })
		},
		Watch: func(ctx context.Context, c client.WithWatch, list client.ObjectList, options ...client.ListOption) (events watch.Interface, err error) {
			err = l.Read(func() error { events, err = c.Watch(ctx, list, options...); return err })
			return events, err
		},
		Create: func(ctx context.Context, c client.WithWatch, object client.Object, options ...client.CreateOption) error {
			return l.Write(func() error { return c.Create(ctx, object, options...) })
		},
		Update: func(ctx context.Context, c client.WithWatch, object client.Object, options ...client.UpdateOption) error {
			return l.Write(func() error { return c.Update(ctx, object, options...) })
		},
		Patch: func(ctx context.Context, c client.WithWatch, object client.Object, patch client.Patch, options ...client.PatchOption) error {
			return l.Write(func() error { return c.Patch(ctx, object, patch, options...) })
		},
		Apply: func(ctx context.Context, c client.WithWatch, object runtime.ApplyConfiguration, options ...client.ApplyOption) error {
			return l.Write(func() error { return c.Apply(ctx, object, options...) })
		},
		Delete: func(ctx context.Context, c client.WithWatch, object client.Object, options ...client.DeleteOption) error {
			return l.Write(func() error { return c.Delete(ctx, object, options...) })
		},
		DeleteAllOf: func(ctx context.Context, c client.WithWatch, object client.Object, options ...client.DeleteAllOfOption) error {
			return l.Write(func() error { return c.DeleteAllOf(ctx, object, options...) })
		},
		SubResourceGet: func(ctx context.Context, c client.Client, sub string, object, into client.Object, options ...client.SubResourceGetOption) error {
			return l.Read(func() error { return c.SubResource(sub).Get(ctx, object, into, options...) })
		},
		SubResourceCreate: func(ctx context.Context, c client.Client, sub string, object, made client.Object, options ...client.SubResourceCreateOption) error {
			return l.Write(func() error { return c.SubResource(sub).Create(ctx, object, made, options...) })
		},
		SubResourceUpdate: func(ctx context.Context, c client.Client, sub string, object client.Object, options ...client.SubResourceUpdateOption) error {
			return l.Write(func() error { return c.SubResource(sub).Update(ctx, object, options...) })
		},
		SubResourcePatch: func(ctx context.Context, c client.Client, sub string, object client.Object, patch client.Patch, options ...client.SubResourcePatchOption) error {
			return l.Write(func() error { return c.SubResource(sub).Patch(ctx, object, patch, options...) })
		},
		SubResourceApply: func(ctx context.Context, c client.Client, sub string, object runtime.ApplyConfiguration, options ...client.SubResourceApplyOption) error {
			return l.Write(func() error { return c.SubResource(sub).Apply(ctx, object, options...) })
		},
	})
}
