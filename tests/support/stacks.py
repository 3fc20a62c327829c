"""SOAP stacks of other languages: what each needs, how its client is built, and how it calls.

A client in `tests/interop/stacks` is one file. It finds WSDL, ENDPOINT, APIKEY, RECIPIENTS and
MESSAGE in its environment and the way it is to call in its first argument; it prints error, sent
and id as the stack gave them, and where it knows the WSDL asks for the message's status and prints
that one's error and recipients.
"""

import fcntl
import functools
import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version
from pathlib import Path
from urllib.request import urlopen

from . import npm

STACKS = Path(__file__).resolve().parents[1] / "interop" / "stacks"
#: Where builds are kept between runs.
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sendsmsnow-tests"

_JARS = Path("/usr/share/java")
_NUSOAP = Path("/usr/share/php/nusoap/nusoap.php")

SOAP11, SOAP12 = "1.1", "1.2"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """A SOAP stack and the ways in which its users call."""

    #: The name of its folder.
    name: str
    title: str
    #: Programs and files without which it is not installed.
    needs: tuple[str, ...] = ()
    #: Its version; LookupError where it is not installed.
    version: Callable[[], str]
    #: The command in front of the way; {folder} and {build} stand for directories.
    command: tuple[str, ...]
    #: Commands that make its client in the current directory, from {folder} and {wsdl}.
    build: tuple[tuple[str, ...], ...] = ()
    #: Each way of calling, in words, and the version of SOAP it speaks.
    ways: Mapping[str, str]
    environment: Callable[[], Mapping[str, str]] = dict

    @property
    def folder(self) -> Path:
        return STACKS / self.name

    def missing(self) -> str:
        """What it lacks to be run; empty when it is installed."""
        for need in self.needs:
            if not (shutil.which(need) or Path(need).exists()):
                return need
        try:
            self.version()
        except LookupError as error:
            return str(error.args[0])
        return ""

    def built(self, wsdl: str) -> Path:
        """The directory with its client, made from a live WSDL unless it was before."""
        with urlopen(wsdl) as response:
            # The address is where the server happens to listen; the client is told it.
            contract = re.sub(rb'location="[^"]*"', b"", response.read())
        sources = [path.read_bytes() for path in sorted(self.folder.iterdir())]
        parts = [contract, *sources, repr(self.build).encode(), self.version().encode()]
        name = hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]
        directory = CACHE / f"{self.name}-{name}"
        CACHE.mkdir(parents=True, exist_ok=True)
        with open(f"{directory}.lock", "w") as guard:
            # Test processes run side by side, and one of them builds.
            fcntl.flock(guard, fcntl.LOCK_EX)
            if not (directory / "done").exists():
                shutil.rmtree(directory, ignore_errors=True)
                directory.mkdir()
                self._build(directory, wsdl)
                (directory / "done").touch()
        return directory

    def _build(self, directory: Path, wsdl: str) -> None:
        for command in self.build:
            words = [word.format(folder=self.folder, wsdl=wsdl) for word in command]
            done = subprocess.run(
                words, cwd=directory, capture_output=True, text=True, timeout=120, check=False
            )
            assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"

    def call(self, way: str, environment: Mapping[str, str]) -> list[list[str]]:
        """What its client prints, called in this way: the words of each line."""
        build = self.built(environment["WSDL"]) if self.build else self.folder
        words = [word.format(folder=self.folder, build=build) for word in self.command]
        done = subprocess.run(
            [*words, way],
            env={**os.environ, "LC_ALL": "C.UTF-8", **environment, **self.environment()},
            capture_output=True,
            encoding="utf-8",
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, f"{words} {way!r}: {done.stdout}{done.stderr}"
        return [line.split() for line in done.stdout.splitlines()]


def debian(package: str) -> Callable[[], str]:
    """The version of a Debian package."""

    def version() -> str:
        found = _output("dpkg-query", "--show", "--showformat", "${Version}", package)
        return re.sub(r"^\d+:|[-+][^-]*(deb|dfsg).*$|-[^-]*$", "", found) if found else "?"

    return version


def php() -> str:
    loaded = _output("php", "-r", "echo class_exists('SoapClient') ? phpversion() : '';")
    if not loaded:
        raise LookupError("PHP's extension soap")
    return loaded


def pip(package: str) -> Callable[[], str]:
    """The version of a Python package."""

    def version() -> str:
        try:
            return installed_version(package)
        except PackageNotFoundError:
            raise LookupError(package) from None

    return version


def node(package: str) -> Callable[[], str]:
    """The version of an npm package."""

    def version() -> str:
        modules = npm.installed(STACKS)
        if modules is None:
            raise LookupError(f"{package} (the npm registry does not answer)")
        return npm.version(modules, package)

    return version


def curl() -> str:
    return _output("curl", "--version").split()[1]


@functools.cache
def _output(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    except FileNotFoundError:
        return ""
    return done.stdout if done.returncode == 0 else ""


def _node_modules() -> Mapping[str, str]:
    return {"NODE_PATH": str(npm.installed(STACKS))}


def _nusoap() -> Mapping[str, str]:
    """NuSOAP as it can be loaded by PHP 8, which has no constructors named as their class, no
    each() and no magic quotes."""
    source = _NUSOAP.read_text("latin-1")
    classes = set(re.findall(r"^\s*class\s+(\w+)", source, re.M))
    current = ""
    lines = []
    for line in source.splitlines(keepends=True):
        if found := re.match(r"\s*class\s+(\w+)", line):
            current = found[1]
        if current:
            line = re.sub(rf"function\s+{current}\s*\(", "function __construct(", line)
        line = re.sub(
            r"parent::(\w+)\(",
            lambda call: "parent::__construct(" if call[1] in classes else call[0],
            line,
        )
        lines.append(line)
    source = re.sub(
        r"while\s*\(list\(\s*(\$\w+)\s*,\s*(\$\w+)\s*\)\s*=\s*each\((\$[\w>-]+)\)\)",
        r"foreach(\3 as \1 => \2)",
        "".join(lines),
    )
    source = source.replace("get_magic_quotes_runtime()", "0").replace(
        "set_magic_quotes_runtime", ""
    )
    name = hashlib.sha256(source.encode()).hexdigest()[:16]
    CACHE.mkdir(parents=True, exist_ok=True)
    copy = CACHE / f"nusoap-{name}.php"
    if not copy.exists():
        draft = CACHE / f"nusoap-{name}-{os.getpid()}"
        draft.write_text(source, "latin-1")
        draft.replace(copy)
    return {"NUSOAP": str(copy)}


def _jars(*names: str) -> str:
    return ":".join(str(_JARS / f"{name}.jar") for name in names)


_METRO = _jars(
    *("javax.xml.soap-api", "saaj-impl", "javax.activation", "mimepull", "stax-ex", "metro-policy"),
    *("gmbal", "streambuffer", "jaxws-api", "jws-api", "jaxb-api", "jaxb-runtime", "jaxb-impl"),
    *("jaxb-core", "jaxws-rt", "jaxws-tools", "jaxb-xjc", "txw2", "istack-commons-runtime"),
    *("istack-commons-tools", "relaxngDatatype", "rngom", "xsom", "dtd-parser", "codemodel"),
    "FastInfoset",
)
_AXIS = _jars(
    *("axis", "axis-jaxrpc", "axis-saaj", "wsdl4j", "commons-logging", "commons-discovery"),
    *("javax.activation", "javax.mail"),
)
#: A JVM that lives for a second; the compilers are best left at their first tier.
_JAVA = ("java", "-XX:TieredStopAtLevel=1", "-Xshare:auto")


def _java(jars: str) -> tuple[str, ...]:
    return (*_JAVA, "-cp", f"{jars}:{{build}}", "Client")


def _shell(script: str) -> tuple[str, ...]:
    return ("sh", "-ec", script)


def _javac(jars: str) -> tuple[str, ...]:
    return _shell(
        f"javac -nowarn -proc:none -cp {jars} -d . {{folder}}/Client.java"
        " $(find . -name '*.java' | sort)"
    )


#: Code generators, for the directory that they are run in and {wsdl}.
WSIMPORT = (
    *(*_JAVA, "-cp", _METRO, "com.sun.tools.ws.WsImport"),
    # Without -extension the SOAP 1.2 port is left out.
    *("-extension", "-Xnocompile", "-p", "sendsmsnow", "{wsdl}"),
)
WSDL2JAVA = (
    *(*_JAVA, "-cp", _AXIS, "org.apache.axis.wsdl.WSDL2Java"),
    *("-p", "sendsmsnow", "{wsdl}"),
)
WSDL2H = ("wsdl2h", "-v", "-Nsms", "-o", "sms.h", "{wsdl}")
SOAPCPP2 = ("soapcpp2", "-C", "-L", "-x", "-I/usr/share/gsoap/import", "sms.h")
DOTNET_WSDL = ("wsdl", "-nologo", "-out:Sms.cs", "{wsdl}")
WSDL2PERL = ("wsdl2perl", "-b", ".", "-p", "SendSmsNow", "{wsdl}")
KDWSDL2CPP = ("kdwsdl2cpp", "-o", "wsdl.h", "{wsdl}")

BY_WSDL = {"by WSDL": SOAP11, "by WSDL, SOAP 1.2": SOAP12}
BY_HAND = {"by hand": SOAP11, "by hand, SOAP 1.2": SOAP12}

ALL = (
    Stack(
        name="php-soap",
        title="PHP SoapClient",
        needs=("php",),
        version=php,
        command=("php", "{folder}/client.php"),
        ways={
            **BY_WSDL,
            "by WSDL, gzip": SOAP11,
            "without a WSDL": SOAP11,
            "without a WSDL, SOAP 1.2": SOAP12,
        },
    ),
    Stack(
        name="php-nusoap",
        title="PHP NuSOAP",
        needs=("php", str(_NUSOAP)),
        version=debian("libnusoap-php"),
        command=("php", "{folder}/client.php"),
        ways={"by WSDL": SOAP11, "by WSDL, UTF-8": SOAP11, "without a WSDL": SOAP11},
        environment=_nusoap,
    ),
    Stack(
        name="node-soap",
        title="Node soap",
        version=node("soap"),
        command=(npm.node(), "{folder}/client.js"),
        ways={**BY_WSDL, "by WSDL, its SOAP 1.2 port, SOAP 1.2": SOAP12},
        environment=_node_modules,
    ),
    Stack(
        name="node-strong-soap",
        title="Node strong-soap",
        version=node("strong-soap"),
        command=(npm.node(), "{folder}/client.js"),
        ways=BY_WSDL,
        environment=_node_modules,
    ),
    Stack(
        name="node-easy-soap-request",
        title="Node easy-soap-request",
        version=node("easy-soap-request"),
        command=(npm.node(), "{folder}/client.js"),
        ways=BY_HAND,
        environment=_node_modules,
    ),
    Stack(
        name="perl-soap-lite",
        title="Perl SOAP::Lite",
        needs=("perl", "/usr/share/perl5/SOAP/Lite.pm"),
        version=debian("libsoap-lite-perl"),
        command=("perl", "{folder}/client.pl"),
        ways={
            "by WSDL": SOAP11,
            "by proxy": SOAP11,
            "by proxy, by position": SOAP11,
            "by proxy, SOAP 1.2": SOAP12,
        },
    ),
    Stack(
        name="perl-soap-wsdl",
        title="Perl SOAP::WSDL",
        needs=("perl", "wsdl2perl"),
        version=debian("libsoap-wsdl-perl"),
        build=(WSDL2PERL,),
        command=("perl", "-I{build}", "{folder}/client.pl"),
        ways={"by WSDL": SOAP11},
    ),
    Stack(
        name="python-zeep",
        title="Python zeep",
        version=pip("zeep"),
        command=(sys.executable, "{folder}/client.py"),
        ways=BY_WSDL,
    ),
    Stack(
        name="python-suds",
        title="Python suds-community",
        version=pip("suds-community"),
        command=(sys.executable, "{folder}/client.py"),
        ways={"by WSDL": SOAP11},
    ),
    Stack(
        name="python-pysimplesoap",
        title="Python pysimplesoap",
        version=pip("pysimplesoap"),
        command=(sys.executable, "{folder}/client.py"),
        ways={"by WSDL": SOAP11, "without a WSDL": SOAP11},
    ),
    Stack(
        name="curl",
        title="curl",
        needs=("curl",),
        version=curl,
        command=("sh", "{folder}/client.sh"),
        ways=BY_HAND,
    ),
    Stack(
        name="java-jax-ws",
        title="Java JAX-WS (Metro)",
        needs=("javac", *_METRO.split(":")),
        version=debian("libjaxws-java"),
        build=(
            WSIMPORT,
            _javac(_METRO),
        ),
        command=_java(_METRO),
        ways={
            **BY_WSDL,
            "by WSDL, addressing": SOAP11,
            "by WSDL, addressing, SOAP 1.2": SOAP12,
        },
    ),
    Stack(
        name="java-axis",
        title="Java Axis",
        needs=("javac", *_AXIS.split(":")),
        version=debian("libaxis-java"),
        build=(
            WSDL2JAVA,
            _javac(_AXIS),
        ),
        command=_java(_AXIS),
        ways={"by WSDL": SOAP11, "without a WSDL": SOAP11},
    ),
    Stack(
        name="java-saaj",
        title="Java SAAJ",
        needs=("javac", *_METRO.split(":")),
        version=debian("libsaaj-ri-java"),
        build=(_javac(_METRO),),
        command=_java(_METRO),
        ways={
            **BY_HAND,
            "by hand, with an attachment": SOAP11,
            "by hand, with an attachment, SOAP 1.2": SOAP12,
        },
    ),
    Stack(
        name="c++-gsoap",
        title="C++ gSOAP",
        needs=("g++", "wsdl2h", "soapcpp2", "/usr/include/stdsoap2.h"),
        version=debian("gsoap"),
        build=(
            WSDL2H,
            SOAPCPP2,
            _shell(
                "g++ -O0 -w -I. -o client soapC.cpp soapClient.cpp {folder}/client.cpp -lgsoap++"
            ),
        ),
        command=("{build}/client",),
        ways=BY_WSDL,
    ),
    Stack(
        name="qt-kdsoap",
        title="Qt KDSoap",
        needs=("g++", "moc", "pkg-config", "kdwsdl2cpp", "/usr/include/KDSoapClient"),
        version=debian("libkdsoap-dev"),
        build=(
            KDWSDL2CPP,
            ("kdwsdl2cpp", "-impl", "wsdl.h", "-o", "wsdl.cpp", "{wsdl}"),
            ("moc", "wsdl.h", "-o", "moc.cpp"),
            _shell(
                "g++ -O0 -w -fPIC -I. -I/usr/include/KDSoapClient"
                " $(pkg-config --cflags Qt5Core Qt5Network)"
                " -o client wsdl.cpp moc.cpp {folder}/client.cpp"
                " -lkdsoap $(pkg-config --libs Qt5Core Qt5Network)"
            ),
        ),
        command=("{build}/client",),
        ways=BY_WSDL,
    ),
    Stack(
        name="ruby-soap4r",
        title="Ruby soap4r",
        needs=("ruby", "/usr/share/doc/ruby-soap4r"),
        version=debian("ruby-soap4r"),
        command=("ruby", "-W0", "{folder}/client.rb"),
        ways={"by WSDL": SOAP11},
    ),
    Stack(
        name="lua-soap",
        title="Lua LuaSOAP",
        needs=("lua5.1", "/usr/share/lua/5.1/soap/client.lua"),
        version=debian("lua-soap"),
        command=("lua5.1", "{folder}/client.lua"),
        ways=BY_HAND,
    ),
    Stack(
        name="dotnet-web-services",
        title=".NET System.Web.Services (Mono)",
        needs=("mono", "mcs", "wsdl"),
        version=debian("mono-devel"),
        build=(
            DOTNET_WSDL,
            ("mcs", "-r:System.Web.Services", "-out:client.exe", "Sms.cs", "{folder}/Client.cs"),
        ),
        command=("mono", "{build}/client.exe"),
        ways=BY_WSDL,
    ),
    Stack(
        name="dotnet-wcf",
        title=".NET WCF (Mono)",
        needs=("mono", "mcs", "/usr/lib/mono/4.5/System.ServiceModel.dll"),
        version=debian("libmono-system-servicemodel4.0a-cil"),
        build=(
            _shell(
                "mcs -r:System.ServiceModel -r:System.Runtime.Serialization"
                " -out:client.exe {folder}/Client.cs"
            ),
        ),
        command=("mono", "{build}/client.exe"),
        ways={
            "by contract": SOAP11,
            "by contract, SOAP 1.2": SOAP12,
            "by contract, addressing, SOAP 1.2": SOAP12,
        },
    ),
)
