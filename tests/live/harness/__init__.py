"""
One node of Kubernetes on this machine, in a network namespace of its own, brought up and taken down without a trace.

``python -m tests.live.harness up|down|status|kubeconfig [--state DIR]``. Everything is reached through loopback; the
namespace has no way out.
"""
