"""Reading where a service's API key is not at hand, as on a fork's pull request, which gets no secret at all."""

from reconciler.adapters.secrets import Missing
from reconciler.cli.wiring import Project
from reconciler.core.fleet import Service
from reconciler.core.value import replace

SERVICES = {"markets": "Machine Markets", "mcr": "the MCR API"}


def without_absent_keys(project: Project) -> Project:
    """To look with: a key that is not here is not sent, a notice says so, and what its service hides is unreadable."""
    services, notices = project.fleet.services, list(project.notices)
    for field, name in SERVICES.items():
        service: Service | None = getattr(services, field)
        if service is None or service.api_key is None:
            continue
        try:
            project.secrets.read(service.api_key, f"the API key of {name}")
        except Missing as error:
            notices.append(f"{error.message}; what {name} shows to nobody without it cannot be read")
            services = services.model_copy(update={field: service.model_copy(update={"api_key": None})})
    fleet = project.fleet.model_copy(update={"services": services})
    return replace(project, fleet=fleet, notices=tuple(notices))
