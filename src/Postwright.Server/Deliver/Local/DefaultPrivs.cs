using Postwright.Core.Seams;

namespace Postwright.Server.Deliver.Local;

/// <summary>default_privs: whose rights commands and files get when root's would be the only ones.</summary>
internal static class DefaultPrivs
{
    /// <summary>The user, or null when there is none or it is root.</summary>
    public static DeliveryRights? Find(LocalContext context)
    {
        _ = context.Host.FindUser(context.Options.DefaultPrivs, out UserEntry? user);
        return user is null or { Uid: 0 } or { Gid: 0 } ? null : new DeliveryRights(user.Uid, user.Gid, null);
    }
}
