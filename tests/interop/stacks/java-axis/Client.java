import java.net.URL;
import javax.xml.namespace.QName;
import javax.xml.rpc.ParameterMode;
import org.apache.axis.client.Call;
import org.apache.axis.client.Service;
import org.apache.axis.encoding.XMLType;
import org.apache.axis.encoding.ser.BeanDeserializerFactory;
import org.apache.axis.encoding.ser.BeanSerializerFactory;
import sendsmsnow.Delivery;
import sendsmsnow.GetStatusResult;
import sendsmsnow.SendSmsNowLocator;
import sendsmsnow.SendSmsNowPortType;
import sendsmsnow.SendSmsResult;

public class Client {
    static final URL ENDPOINT = url(System.getenv("ENDPOINT"));
    static final String KEY = System.getenv("APIKEY");

    public static void main(String[] arguments) throws Exception {
        String recipients = System.getenv("RECIPIENTS");
        String message = System.getenv("MESSAGE");
        if (arguments[0].startsWith("without")) {
            show((SendSmsResult) call().invoke(new Object[] {recipients, message, KEY}));
            return;
        }
        SendSmsNowPortType port = new SendSmsNowLocator().getsendSmsNowPort(ENDPOINT);
        SendSmsResult result = port.sendSms(recipients, message, KEY);
        show(result);
        GetStatusResult status = port.getStatus(KEY, result.getId());
        StringBuilder numbers = new StringBuilder();
        for (Delivery delivery : status.getDeliveries())
            numbers.append(numbers.length() == 0 ? "" : ",").append(delivery.getRecipient());
        System.out.println(status.getError() + " " + numbers);
    }

    /** A call as it is put together by hand: rpc/encoded, its strings by reference. */
    static Call call() throws Exception {
        QName type = new QName("urn:sendSmsNow", "SendSmsResult");
        Call call = (Call) new Service().createCall();
        call.setTargetEndpointAddress(ENDPOINT);
        call.setOperationName(new QName("urn:sendSmsNow", "sendSms"));
        for (String name : new String[] {"recipients", "message", "apikey"})
            call.addParameter(name, XMLType.SOAP_STRING, ParameterMode.IN);
        call.registerTypeMapping(SendSmsResult.class, type,
            new BeanSerializerFactory(SendSmsResult.class, type),
            new BeanDeserializerFactory(SendSmsResult.class, type));
        call.setReturnType(type);
        return call;
    }

    static void show(SendSmsResult result) {
        System.out.println(result.getError() + " " + result.getSent() + " " + result.getId());
    }

    static URL url(String address) {
        try {
            return new URL(address);
        } catch (java.net.MalformedURLException error) {
            throw new IllegalArgumentException(error);
        }
    }
}
