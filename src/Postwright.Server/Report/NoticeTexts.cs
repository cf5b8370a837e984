using System.Globalization;

namespace Postwright.Server.Report;

/// <summary>The introductions of notices, the built-in ones of bounce(5).</summary>
internal static class NoticeTexts
{
    private const string Help = """
        For further assistance, please send mail to postmaster.

        If you do so, please include this problem report. You can
        delete your own text from the attached returned message.

                           The mail system
        """;

    /// <summary>For mail that is returned.</summary>
    public static string Failure(string host) => $"""
        This is the mail system at host {host}.

        I'm sorry to have to inform you that your message could not
        be delivered to one or more recipients. It's attached below.

        {Help}
        """;

    /// <summary>For mail that is late. Ages below an hour are told in minutes, since "0 hour(s)" tells nothing.</summary>
    public static string Delay(string host, TimeSpan age, TimeSpan lifetime) => $"""
        This is the mail system at host {host}.

        ####################################################################
        # THIS IS A WARNING ONLY.  YOU DO NOT NEED TO RESEND YOUR MESSAGE. #
        ####################################################################

        Your message could not be delivered for more than {InWords(age)}.
        It will be retried until it is {Whole(lifetime.TotalDays)} day(s) old.

        {Help}
        """;

    /// <summary>For mail whose sender asked to be told.</summary>
    public static string Success(string host) => $"""
        This is the mail system at host {host}.

        Your message was successfully delivered to the destination(s)
        listed below. If the message was delivered to mailbox you will
        receive no further notifications. Otherwise you may still receive
        notifications of mail delivery errors from other systems.

                           The mail system
        """;

    private static string InWords(TimeSpan age) => age switch
    {
        { TotalHours: >= 1 } => Whole(age.TotalHours) + " hour(s)",
        { TotalMinutes: >= 1 } => Whole(age.TotalMinutes) + " minute(s)",
        _ => Whole(age.TotalSeconds) + " second(s)",
    };

    private static string Whole(double number) => ((long)number).ToString(CultureInfo.InvariantCulture);
}
