"""The tests' JupyterHub: what the chart of Zero to JupyterHub would configure, and hub/kubeclass_hub.py."""

import os
import sys

sys.path.insert(0, "/etc/hub")
import kubeclass_hub

c = get_config()  # type: ignore[name-defined]  # noqa: F821  (JupyterHub puts it there)
c.JupyterHub.spawner_class = "kubespawner.KubeSpawner"
c.JupyterHub.hub_bind_url = "http://0.0.0.0:8081"
c.JupyterHub.bind_url = "http://0.0.0.0:8000"
c.JupyterHub.db_url = "sqlite:////data/jupyterhub.sqlite"
c.JupyterHub.cookie_secret_file = "/data/cookie_secret"
c.JupyterHub.cleanup_servers = False
c.JupyterHub.tornado_settings = {"slow_spawn_timeout": 0}
c.ConfigurableHTTPProxy.should_start = False
c.ConfigurableHTTPProxy.api_url = "http://proxy-api:8001"

# Everybody with the password is who they say: fit for a test that needs no network, and for nothing else.
c.JupyterHub.authenticator_class = "shared-password"
c.SharedPasswordAuthenticator.user_password = os.environ["LEARNERS_PASSWORD"]
c.Authenticator.allow_all = True

c.KubeSpawner.image = os.environ["SERVER_IMAGE"]
c.KubeSpawner.image_pull_policy = "IfNotPresent"
c.KubeSpawner.cpu_guarantee = 0.1
c.KubeSpawner.mem_guarantee, c.KubeSpawner.mem_limit = "384M", "1G"
c.KubeSpawner.storage_capacity = "1Gi"
kubeclass_hub.configure(c, os.environ["KUBECLASS_CLASS"])
c.KubeSpawner.start_timeout = c.KubeSpawner.http_timeout = 300
# Seconds. The hub must learn of activity more often than servers are culled. Both are 300 by default.
c.JupyterHub.last_activity_interval = 10
c.KubeSpawner.environment = {"JUPYTERHUB_ACTIVITY_INTERVAL": "10"}

c.JupyterHub.services = [
    {
        "name": "idle-culler",
        "command": [
            *(sys.executable, "-m", "jupyterhub_idle_culler", "--url=http://localhost:8081/hub/api"),
            *(f"--timeout={os.environ['CULL_AFTER']}", "--cull-every=10"),
        ],
    }
]
c.JupyterHub.load_roles = [
    {
        "name": "idle-culler",
        "scopes": ["list:users", "read:users:activity", "read:servers", "delete:servers"],
        "services": ["idle-culler"],
    }
]
