"""django-scim2-server from PyPI on SQLite, for bench_peers.py: `django_peer.py migrate`, then `django_peer.py PORT`."""

import os
import sys

import django
from django.conf import settings


def is_ours(request):
    return request.headers.get("Authorization") == "Bearer secret"


settings.configure(
    DEBUG=False,
    SECRET_KEY="of a benchmark",
    ALLOWED_HOSTS=["127.0.0.1"],
    ROOT_URLCONF=__name__,
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django_scim2_server"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": f"{os.environ['PEER_FOLDER']}/peer.db",
                           "CONN_MAX_AGE": None, "OPTIONS": {"transaction_mode": "IMMEDIATE", "timeout": 30}}},
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    SCIM2_SERVER_AUTH_CHECK=f"{__name__}.is_ours",
)
django.setup()

from django.core.management import call_command  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.urls import include, path  # noqa: E402

urlpatterns = [path("scim/v2/", include("django_scim2_server.urls"))]

if __name__ == "__main__":
    if sys.argv[1] == "migrate":
        call_command("migrate", verbosity=0)
    else:
        import waitress

        waitress.serve(get_wsgi_application(), host="127.0.0.1", port=int(sys.argv[1]), threads=4)
