"""The SOAP stacks that are tried, and the code generators among them."""

import sys
from pathlib import Path

from . import npm
from .stacks import (
    NUSOAP,
    SOAP11,
    SOAP12,
    Stack,
    curl,
    debian,
    node,
    node_modules,
    nusoap,
    php,
    pip,
)

_JARS = Path("/usr/share/java")


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
WSDL2H = ("wsdl2h", "-Nsms", "-o", "sms.h", "{wsdl}")
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
        needs=("php", str(NUSOAP)),
        version=debian("libnusoap-php"),
        command=("php", "{folder}/client.php"),
        ways={"by WSDL": SOAP11, "by WSDL, UTF-8": SOAP11, "without a WSDL": SOAP11},
        environment=nusoap,
    ),
    Stack(
        name="node-soap",
        title="Node soap",
        version=node("soap"),
        command=(npm.node(), "{folder}/client.js"),
        ways={**BY_WSDL, "by WSDL, its SOAP 1.2 port, SOAP 1.2": SOAP12},
        environment=node_modules,
    ),
    Stack(
        name="node-strong-soap",
        title="Node strong-soap",
        version=node("strong-soap"),
        command=(npm.node(), "{folder}/client.js"),
        ways=BY_WSDL,
        environment=node_modules,
    ),
    Stack(
        name="node-easy-soap-request",
        title="Node easy-soap-request",
        version=node("easy-soap-request"),
        command=(npm.node(), "{folder}/client.js"),
        ways=BY_HAND,
        environment=node_modules,
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
