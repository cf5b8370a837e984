using Postwright.Protocol.Mail;

namespace Postwright.Server.Receive.Smtpd;

/// <summary>Dates for trace headers; a second's text is made once, however many messages arrive in it.</summary>
internal sealed class DateText(TimeProvider time)
{
    private volatile Entry? _last;

    public string Format(DateTimeOffset now)
    {
        long second = now.ToUnixTimeSeconds();
        Entry? last = _last;
        if (last is null || last.Second != second)
        {
            last = new Entry(second, MailDate.Format(now, time.LocalTimeZone));
            _last = last;
        }

        return last.Text;
    }

    private sealed record Entry(long Second, string Text);
}
